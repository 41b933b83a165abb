package traffic

import (
	"encoding/binary"
	"time"
)

// Stamper makes very many distinct native events cheaply, to load a topic before a measurement: it keeps a number of
// ready events and gives each copy an id and a time of its own. It is not safe for concurrent use; several
// stampers with First set apart make disjoint events.
type Stamper struct {
	templates []template
	options   Options
	salt      uint64
	count     uint64
	second    int64 // of the time in the buffer
	clock     []byte
}

type template struct {
	value []byte
	marks marks
}

// NewStamper draws templates native events (CloudTrailShare is ignored) and returns a stamper over them, which starts
// with the event of number o.First.
func NewStamper(world *World, o Options, templates int) (*Stamper, error) {
	o.CloudTrailShare = 0
	g, err := New(world, o)
	if err != nil {
		return nil, err
	}
	s := &Stamper{options: g.options, salt: g.salt, count: o.First, second: -1}
	var r Record
	for range max(templates, 1) {
		g.Next(&r)
		s.templates = append(s.templates, template{append([]byte(nil), r.Value...), g.marks})
	}
	return s, nil
}

// Append appends the next event to b and returns its time.
func (s *Stamper) Append(b []byte) ([]byte, time.Time) {
	t := &s.templates[s.count%uint64(len(s.templates))]
	start := len(b)
	b = append(b, t.value...)
	event := b[start:]
	putID(event[t.marks.id:], mix(s.salt+s.count))
	at := s.options.timeOf(s.count)
	s.putTime(event[t.marks.time:], at.UnixMilli())
	s.count++
	return b, at
}

// putTime writes timeLayout; only the milliseconds change within a second.
func (s *Stamper) putTime(b []byte, millis int64) {
	if second := millis / 1000; second != s.second {
		s.second = second
		s.clock = time.Unix(second, 0).UTC().AppendFormat(s.clock[:0], timeLayout)
	}
	copy(b, s.clock)
	ms := millis % 1000
	b[20], b[21], b[22] = byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10)
}

// putID writes idDigits hexadecimal digits.
func putID(b []byte, id uint64) {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], id)
	for i, v := range raw {
		b[2*i], b[2*i+1] = hexDigits[v>>4], hexDigits[v&15]
	}
}
