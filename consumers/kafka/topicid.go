package kafka

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// TopicIDs returns the id that the cluster gave each topic when it was
// created, in Kafka's notation (22 characters of URL-safe base64). It changes
// when a topic is deleted and created again under the same name, which offsets
// alone do not show. A topic that the broker does not know is not in the map.
// Brokers before Kafka 2.8 have no ids: the map is nil then.
func (c *Client) TopicIDs(ctx context.Context, topics ...string) (map[string]string, error) {
	ids := map[string]string{}
	if len(topics) == 0 {
		return ids, nil
	}
	versions, err := c.api.ApiVersions(ctx, &kafkago.ApiVersionsRequest{})
	if err != nil {
		return nil, fmt.Errorf("kafka: versions of the broker: %w", err)
	}
	supported := false
	for _, v := range versions.ApiKeys {
		supported = supported || v.ApiKey == int(protocol.Metadata) && v.MaxVersion >= topicIDVersion && v.MinVersion <= topicIDVersion
	}
	if !supported {
		return nil, nil
	}
	err = c.retry(ctx, "topic ids", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
		defer cancel()
		m, err := c.transport.RoundTrip(ctx, c.api.Addr, &topicIDRequest{clientID: c.cfg.ClientID, topics: topics})
		if err != nil {
			return err
		}
		ids = m.(*topicIDResponse).ids
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: topic ids: %w", err)
	}
	return ids, nil
}

// topicIDVersion is the first version of the Metadata API that tells topic
// ids; kafka-go stops at version 8, so this request exchanges its own bytes.
const (
	topicIDVersion  = 10
	metadataKey     = 3
	metadataMaxSize = 16 << 20
)

type topicIDRequest struct {
	clientID string
	topics   []string
}

type topicIDResponse struct{ ids map[string]string }

func (r *topicIDRequest) ApiKey() protocol.ApiKey                 { return protocol.Metadata }
func (r *topicIDResponse) ApiKey() protocol.ApiKey                { return protocol.Metadata }
func (r *topicIDRequest) Required(map[protocol.ApiKey]int16) bool { return true }

var _ protocol.RawExchanger = (*topicIDRequest)(nil)

// RawExchange implements protocol.RawExchanger.
func (r *topicIDRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(r.encode()); err != nil {
		return nil, err
	}
	var prefix [4]byte
	if _, err := io.ReadFull(rw, prefix[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(prefix[:])
	if size > metadataMaxSize {
		return nil, fmt.Errorf("metadata response of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, err
	}
	ids, err := decodeTopicIDs(body)
	if err != nil {
		return nil, err
	}
	return &topicIDResponse{ids: ids}, nil
}

// encode writes a Metadata request v10. Source: Apache Kafka protocol guide;
// compact lengths are one more than the length (KIP-482).
func (r *topicIDRequest) encode() []byte {
	b := make([]byte, 4, 256)
	b = appendInt16(b, metadataKey)
	b = appendInt16(b, topicIDVersion)
	b = appendInt32(b, correlationID)
	b = appendString(b, r.clientID)
	b = append(b, 0) // no tagged fields
	b = binary.AppendUvarint(b, uint64(len(r.topics)+1))
	for _, topic := range r.topics {
		b = append(b, make([]byte, 16)...) // asked for by name
		b = binary.AppendUvarint(b, uint64(len(topic)+1))
		b = append(b, topic...)
		b = append(b, 0)
	}
	b = append(b, 0, 0, 0) // create nothing, no authorised operations
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// decodeTopicIDs reads a Metadata response v10 after its length.
func decodeTopicIDs(body []byte) (map[string]string, error) {
	d := compactReader{rest: body}
	if id := d.int32(); d.err == nil && id != correlationID {
		return nil, fmt.Errorf("answer has correlation id %d instead of %d", id, correlationID)
	}
	d.tags()
	d.take(4) // throttle time
	for range d.length() {
		d.take(4) // node id
		d.string()
		d.take(4) // port
		d.string()
		d.tags()
	}
	d.string() // cluster id
	d.take(4)  // controller
	ids := map[string]string{}
	for range d.length() {
		code := d.take(2)
		name := d.string()
		id := d.take(16)
		d.take(1) // internal
		d.skipPartitions()
		d.take(4) // authorised operations
		d.tags()
		if d.err != nil {
			break
		}
		if binary.BigEndian.Uint16(code) == 0 {
			ids[name] = base64.RawURLEncoding.EncodeToString(id)
		}
	}
	return ids, d.err
}

// compactReader reads the flexible encoding of KIP-482 and keeps the first
// error.
type compactReader struct {
	rest []byte
	err  error
}

var errShort = errors.New("response ends too early")

func (d *compactReader) take(n int) []byte {
	if d.err == nil && (n < 0 || n > len(d.rest)) {
		d.err = errShort
	}
	if d.err != nil {
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *compactReader) int32() int32 {
	b := d.take(4)
	if b == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b))
}

func (d *compactReader) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.err = errVarint
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// length reads a compact length, null as 0. What it counts takes at least a
// byte each, so a larger claim is an error.
func (d *compactReader) length() int {
	n := d.uvarint()
	if n <= 1 || d.err != nil {
		return 0
	}
	if n-1 > uint64(len(d.rest)) {
		d.err = errShort
		return 0
	}
	return int(n - 1)
}

func (d *compactReader) string() string { return string(d.take(d.length())) }

func (d *compactReader) tags() {
	for range d.uvarint() {
		if d.uvarint(); d.err != nil {
			return
		}
		size := d.uvarint()
		if size > uint64(len(d.rest)) {
			d.err = errShort
		}
		d.take(int(size))
	}
}

func (d *compactReader) skipPartitions() {
	for range d.length() {
		d.take(2 + 4 + 4 + 4) // error, index, leader, epoch
		for range 3 {         // replicas, in sync, offline
			d.take(4 * d.length())
		}
		d.tags()
		if d.err != nil {
			return
		}
	}
}
