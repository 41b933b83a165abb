package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// fetchRequest is a Fetch request for one partition, read committed, that
// keeps the record batches as bytes. It goes through kafka-go's Transport,
// which routes it to the partition's leader (Broker) over a pooled,
// authenticated connection and then lets it write and read itself
// (RawExchange). So nothing is registered globally, the size limit holds
// before memory is allocated, and kafka-go's own Fetch stays as it is.
//
// The request belongs to the connection's goroutine until that answers, which
// may be after the caller gave up: neither it nor its buffer is reused then.
type fetchRequest struct {
	clientID  string
	topic     string
	partition int32
	offset    int64
	maxWait   int32 // ms
	minBytes  int32
	maxBytes  int32
	limit     int    // largest record set accepted, bytes
	buf       []byte // memory for the record set
	version   int16  // negotiated
}

// fetchResponse is the answer for the one partition.
type fetchResponse struct {
	code                            kafkago.Error
	highWatermark, stable, logStart int64
	aborted                         []abortedTxn
	raw                             []byte
}

// Versions of the Fetch API that this package writes and reads: 4 brought the
// isolation level, from 12 on the encoding is another one.
const (
	fetchMinVersion = 4
	fetchMaxVersion = 11
)

const (
	fetchKey      = 1
	correlationID = 1 // requests of a connection do not overlap
	readCommitted = 1
	maxTopicName  = 249 // Kafka's limit
)

func (r *fetchRequest) ApiKey() protocol.ApiKey  { return protocol.Fetch }
func (r *fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch }

var (
	_ protocol.BrokerMessage = (*fetchRequest)(nil)
	_ protocol.RawExchanger  = (*fetchRequest)(nil)
)

// Broker implements protocol.BrokerMessage: the partition's leader.
func (r *fetchRequest) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	topic, ok := cluster.Topics[r.topic]
	if !ok {
		return protocol.Broker{}, kafkago.UnknownTopicOrPartition
	}
	partition, ok := topic.Partitions[r.partition]
	if !ok {
		return protocol.Broker{}, kafkago.UnknownTopicOrPartition
	}
	broker, ok := cluster.Brokers[partition.Leader]
	if !ok {
		return protocol.Broker{}, kafkago.LeaderNotAvailable
	}
	return broker, nil
}

// Required implements protocol.RawExchanger.
func (r *fetchRequest) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = versions[protocol.Fetch]
	return true
}

// RawExchange implements protocol.RawExchanger: it sends the request and
// reads the response. After an error the transport closes the connection.
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if r.version < fetchMinVersion || r.version > fetchMaxVersion {
		return nil, &Unsupported{Topic: r.topic, Partition: int(r.partition), Offset: r.offset,
			What: fmt.Sprintf("the broker's Fetch API v%d, v%d (Apache Kafka 0.11) or later is needed", r.version, fetchMinVersion)}
	}
	if len(r.topic) > maxTopicName {
		return nil, fmt.Errorf("topic name of %d bytes: %w", len(r.topic), kafkago.InvalidTopic)
	}
	if _, err := rw.Write(r.encode()); err != nil {
		return nil, err
	}
	res := &fetchResponse{}
	d := &wireReader{r: rw, remain: 4}
	d.remain = int(d.int32())
	if id := d.int32(); d.err == nil && id != correlationID {
		return nil, fmt.Errorf("answer has correlation id %d instead of %d", id, correlationID)
	}
	if err := r.decode(d, res); err != nil {
		return nil, err
	}
	if d.err != nil {
		return nil, d.err
	}
	if d.remain != 0 {
		return nil, fmt.Errorf("%d bytes left over in a fetch response", d.remain)
	}
	return res, nil
}

// encode writes the request with its length prefix. Source: Apache Kafka
// protocol guide, Fetch request v4 to v11.
func (r *fetchRequest) encode() []byte {
	b := make([]byte, 4, 128+len(r.clientID)+len(r.topic))
	b = appendInt16(b, fetchKey)
	b = appendInt16(b, r.version)
	b = appendInt32(b, correlationID)
	b = appendString(b, r.clientID)
	b = appendInt32(b, -1) // replica id: a consumer
	b = appendInt32(b, r.maxWait)
	b = appendInt32(b, r.minBytes)
	b = appendInt32(b, r.maxBytes)
	b = append(b, readCommitted)
	if r.version >= 7 {
		b = appendInt32(b, 0)  // no fetch session,
		b = appendInt32(b, -1) // and none wanted
	}
	b = appendInt32(b, 1)
	b = appendString(b, r.topic)
	b = appendInt32(b, 1)
	b = appendInt32(b, r.partition)
	if r.version >= 9 {
		b = appendInt32(b, -1) // leader epoch unknown
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.offset))
	if r.version >= 5 {
		b = binary.BigEndian.AppendUint64(b, ^uint64(0)) // log start: for followers only
	}
	b = appendInt32(b, r.maxBytes)
	if r.version >= 7 {
		b = appendInt32(b, 0) // no topics to forget
	}
	if r.version >= 11 {
		b = appendString(b, "") // no rack: always read from the leader
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// decode reads the response after its correlation id.
func (r *fetchRequest) decode(d *wireReader, res *fetchResponse) error {
	d.int32() // throttle time: the broker holds back its answers by itself
	if r.version >= 7 {
		if code := kafkago.Error(d.int16()); code != 0 && d.err == nil {
			return code
		}
		d.int32() // session id
	}
	if n := d.int32(); n != 1 && d.err == nil {
		return fmt.Errorf("fetch response for %d topics instead of 1", n)
	}
	topic := d.string()
	if n := d.int32(); n != 1 && d.err == nil {
		return fmt.Errorf("fetch response for %d partitions instead of 1", n)
	}
	if p := d.int32(); d.err == nil && (topic != r.topic || p != r.partition) {
		return fmt.Errorf("fetch response for %q[%d] instead of %q[%d]", topic, p, r.topic, r.partition)
	}
	res.code = kafkago.Error(d.int16())
	res.highWatermark = d.int64()
	res.stable = d.int64()
	res.logStart = -1
	if r.version >= 5 {
		res.logStart = d.int64()
	}
	r.decodeAborted(d, res)
	if r.version >= 11 {
		d.int32() // preferred read replica: not with an empty rack
	}
	return r.decodeRecords(d, res)
}

func (r *fetchRequest) decodeAborted(d *wireReader, res *fetchResponse) {
	n := int(d.int32())
	if d.err != nil || n <= 0 {
		return
	}
	if n > d.remain/16 {
		d.err = fmt.Errorf("%d aborted transactions in %d bytes", n, d.remain)
		return
	}
	res.aborted = make([]abortedTxn, n)
	for i := range res.aborted {
		res.aborted[i] = abortedTxn{producer: d.int64(), first: d.int64()}
	}
}

// decodeRecords reads the record set into the buffer. One that exceeds the
// limit is not read: its connection is given up.
func (r *fetchRequest) decodeRecords(d *wireReader, res *fetchResponse) error {
	n := int(d.int32())
	if d.err != nil || n <= 0 {
		return d.err
	}
	if n > d.remain {
		return fmt.Errorf("record set of %d bytes in %d", n, d.remain)
	}
	if n > r.limit {
		head := make([]byte, batchHeader)
		d.full(head)
		return &TooLarge{Topic: r.topic, Partition: int(r.partition),
			Offset: r.offset, Last: claimedLast(head), Limit: r.limit}
	}
	if n > cap(r.buf) {
		r.buf = make([]byte, n)
	}
	res.raw = r.buf[:n]
	d.full(res.raw)
	return d.err
}

// wireReader reads big-endian values of one message and keeps the first error.
type wireReader struct {
	r       io.Reader
	remain  int // bytes of the message not yet read
	err     error
	scratch [8]byte
}

func (d *wireReader) full(b []byte) {
	if d.err != nil {
		return
	}
	if len(b) > d.remain {
		d.err = errors.New("response ends too early")
		return
	}
	n, err := io.ReadFull(d.r, b)
	d.remain -= n
	d.err = err
}

func (d *wireReader) int16() int16 {
	d.full(d.scratch[:2])
	return int16(binary.BigEndian.Uint16(d.scratch[:]))
}

func (d *wireReader) int32() int32 {
	d.full(d.scratch[:4])
	return int32(binary.BigEndian.Uint32(d.scratch[:]))
}

func (d *wireReader) int64() int64 {
	d.full(d.scratch[:8])
	return int64(binary.BigEndian.Uint64(d.scratch[:]))
}

func (d *wireReader) string() string {
	n := d.int16()
	if n <= 0 || d.err != nil {
		return ""
	}
	b := make([]byte, n)
	d.full(b)
	return string(b)
}

func appendInt16(b []byte, v int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func appendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

func appendString(b []byte, s string) []byte {
	return append(appendInt16(b, int16(len(s))), s...)
}
