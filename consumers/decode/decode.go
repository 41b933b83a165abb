// Package decode turns the bytes of one Kafka record into the data-access event, strictly. There is one decoder per
// source format; a record that no decoder can read honestly is Malformed, which is the one reason to dead-letter it.
//
// Decoding is a pure function of the record's value and the feed's configuration: no clock, no network, no state that
// changes what a record means. A Decoder keeps buffers between records and serves one goroutine.
package decode

import (
	"fmt"
	"strings"

	"borderwatch/schemas/access"
)

// Record is what Kafka delivered. Decoders read Value only and keep nothing of the record but views into it (see
// Decoder).
type Record struct {
	Key, Value []byte
	Headers    []Header
	Timestamp  access.Millis
}

// Header is one header of a record.
type Header struct {
	Key, Value []byte
}

// Decoder decodes the records of one feed. It is not safe for concurrent use: have one per goroutine.
type Decoder interface {
	// Decode fills ev, which the caller has Reset, from rec. The error is always a *Malformed, and then ev is half filled
	// and must be thrown away.
	//
	// ev's strings are views into rec.Value and, where they had to be unescaped or joined, into a buffer of the decoder:
	// they are valid until the next Decode of this decoder and while rec.Value is not overwritten.
	Decode(rec *Record, ev *access.Event) error
	// Extra returns how many members of the last record the format does not know. They are kept in the raw bytes only.
	Extra() int
}

// Feed is the configuration of one feed.
type Feed struct {
	// Name is what source.feed becomes for every format but native, whose records carry their own.
	Name string
	// Scope is the identity scope; feeds that deliver copies of the same records share one. Empty: the event's feed.
	Scope  string
	Limits Limits
}

// Limits bound what is parsed at all. The zero value means the defaults.
type Limits struct {
	MaxBytes int // of a record's value, checked before anything is read; DefaultMaxBytes
	MaxDepth int // of objects and arrays within each other; DefaultMaxDepth
}

// The default limits.
const (
	DefaultMaxBytes = 1 << 20
	DefaultMaxDepth = 32
)

func (l Limits) orDefault() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultMaxDepth
	}
	return l
}

// Adapter names a source format.
const (
	Native             = "native"
	OCSF               = "ocsf"
	CloudTrail         = "cloudtrail"
	GCPAudit           = "gcp-audit"
	AccessTransparency = "gcp-access-transparency"
)

// Adapters lists the names New knows.
func Adapters() []string { return []string{Native, OCSF, CloudTrail, GCPAudit, AccessTransparency} }

// New makes the decoder of the named adapter for one feed.
func New(adapter string, feed Feed) (Decoder, error) {
	feed.Limits = feed.Limits.orDefault()
	switch adapter {
	case Native:
		return newNative(feed), nil
	case OCSF:
		return newAdapter(feed, ocsfShape, ocsf), nil
	case CloudTrail:
		return newAdapter(feed, cloudTrailShape, cloudTrail), nil
	case GCPAudit:
		return newAdapter(feed, gcpAuditShape, gcpAudit), nil
	case AccessTransparency:
		return newAdapter(feed, transparencyShape, accessTransparency), nil
	}
	return nil, fmt.Errorf("decode: no adapter %q: have %s", adapter, strings.Join(Adapters(), ", "))
}

// Malformed says why a record is not an event.
type Malformed struct {
	Code     Code
	Reason   string // one sentence, for people
	Field    string // dotted path of the field or member, "" where it is the record as a whole
	Position int    // byte offset in the value, -1 where there is none
}

func (m *Malformed) Error() string {
	var b strings.Builder
	if m.Field != "" {
		b.WriteString(m.Field)
		b.WriteString(": ")
	}
	b.WriteString(m.Reason)
	if m.Position >= 0 {
		fmt.Fprintf(&b, " (at byte %d)", m.Position)
	}
	return b.String()
}

// Code is a short stable name of a reason, for metrics and queries.
type Code string

// The codes.
const (
	CodeEmpty          Code = "empty"           // no value, or only white space
	CodeTooLarge       Code = "too_large"       // over Limits.MaxBytes
	CodeTooDeep        Code = "too_deep"        // over Limits.MaxDepth
	CodeSyntax         Code = "syntax"          // not JSON
	CodeUTF8           Code = "invalid_utf8"    // bytes or escapes that are no Unicode text
	CodeTrailing       Code = "trailing_bytes"  // something follows the record
	CodeDuplicateKey   Code = "duplicate_key"   // an object names a key twice that is no field of the event, such as a section or one of a data item
	CodeDuplicateField Code = "duplicate_field" // a field twice, in one object or in flat and in nested form
	CodeKeyCase        Code = "key_case"        // a key that differs from a known one only in case
	CodeControl        Code = "control_char"    // NUL or another control character
	CodeType           Code = "wrong_type"      // a string where a number is wanted
	CodeValue          Code = "bad_value"       // a word, country, time or number that the field does not take
	CodeMissing        Code = "missing_field"   // a required field is absent, null, empty or "unknown"
	CodeComputed       Code = "computed_field"  // a field that only borderwatch may fill in
	CodeShape          Code = "unknown_shape"   // a record of another format
	CodeSeveral        Code = "several_records" // a file of several records as one message
)
