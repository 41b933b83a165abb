package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size in bytes, written with a unit: 64MiB.
type Bytes int64

// byteUnits are the units of a size, the longest suffix first where one ends in another.
var byteUnits = []struct {
	suffix string
	size   int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// ParseBytes reads a whole number and an optional unit: B, KiB, MiB, GiB, kB, MB, GB.
func ParseBytes(text string) (Bytes, error) {
	for _, unit := range byteUnits {
		number, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/unit.size {
			break
		}
		return Bytes(n * unit.size), nil
	}
	return 0, fmt.Errorf("%q is not a size; write a whole number and a unit, such as 64MiB", text)
}

// String writes the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, unit := range byteUnits[:3] {
		n := int64(b) / unit.size
		if n > 0 && n*unit.size == int64(b) && n < 1024 {
			return strconv.FormatInt(n, 10) + unit.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// Secret is a password or token. It shows only as *** in print, logs and JSON; Reveal returns it.
type Secret string

const mask = "***"

// String masks the secret; an empty one stays empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString masks the secret for %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText masks the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue masks the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

var (
	durationType = reflect.TypeFor[time.Duration]()
	bytesType    = reflect.TypeFor[Bytes]()
	secretType   = reflect.TypeFor[Secret]()
	listType     = reflect.TypeFor[[]string]()
)

// parseScalar reads text as a value of type t.
func parseScalar(t reflect.Type, text string) (any, error) {
	switch t {
	case durationType:
		d, err := time.ParseDuration(text)
		if err != nil && text == "0" {
			return time.Duration(0), nil
		}
		if err != nil || d < 0 {
			return nil, fmt.Errorf("%q is not a duration; write a number and a unit, such as 500ms, 10s, 2m", text)
		}
		return d, nil
	case bytesType:
		return wrap(ParseBytes(text))
	case secretType:
		return Secret(text), nil
	}
	switch t.Kind() {
	case reflect.Bool:
		if text != "true" && text != "false" {
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
		return text == "true", nil
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		return n, nil
	}
	return text, nil
}

func wrap[T any](v T, err error) (any, error) { return v, err }

// formatScalar writes a value the way parseScalar reads it, secrets masked.
func formatScalar(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return formatDuration(d)
	}
	return fmt.Sprint(v.Interface())
}

// formatDuration drops the zero parts that time.Duration prints: 1m instead of 1m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
