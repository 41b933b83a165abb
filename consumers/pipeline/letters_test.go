package pipeline_test

import (
	"bytes"
	"context"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// published are the messages of the dead-letter topic about a source, by partition and offset of the record that they are
// about. A worker that died may have published one twice.
func (l *lane) published(source string) map[int64]*kgo.Record {
	l.t.Helper()
	var left int64
	for _, end := range l.endsOf(l.letters) {
		left += end
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(l.rig.brokers...), kgo.ConsumeTopics(l.letters), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		l.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	out := map[int64]*kgo.Record{}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			l.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			partition, _ := strconv.Atoi(header(r, "borderwatch-partition"))
			offset, _ := strconv.ParseInt(header(r, "borderwatch-offset"), 10, 64)
			if header(r, "borderwatch-source") == source && header(r, "borderwatch-topic") == l.topic {
				out[place(int32(partition), offset)] = r
			}
		})
	}
	return out
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// checkLetters holds the dead-letter topic against the manifest: every dead letter is there with its bytes and its
// reason, and nothing else.
func (l *lane) checkLetters(source string) {
	l.t.Helper()
	got := l.published(source)
	for i := range l.manifest {
		p := &l.manifest[i]
		r := got[place(p.partition, p.offset)]
		delete(got, place(p.partition, p.offset))
		switch {
		case p.code == "" && r != nil:
			l.t.Errorf("offset %d is no dead letter, but was published as %s", p.offset, header(r, "borderwatch-code"))
		case p.code == "" || p.offset < l.gone[p.partition]:
		case r == nil:
			l.t.Errorf("dead letter at offset %d was not published", p.offset)
		case header(r, "borderwatch-omitted-bytes") != "":
			if n := strconv.Itoa(len(p.key) + len(p.value)); header(r, "borderwatch-omitted-bytes") != n || r.Value != nil {
				l.t.Errorf("dead letter at offset %d has %d bytes and tells of %s, want %s", p.offset, len(r.Value), header(r, "borderwatch-omitted-bytes"), n)
			}
		case !bytes.Equal(r.Value, p.value) || !bytes.Equal(r.Key, p.key) || header(r, "borderwatch-code") != p.code || header(r, "borderwatch-reason") == "":
			l.t.Errorf("dead letter at offset %d was published as %q with %v", p.offset, r.Value, r.Headers)
		}
	}
	if len(got) != 0 {
		l.t.Errorf("%d messages are about no record", len(got))
	}
}

// The dead-letter topic takes messages of 1 MiB. Larger records are kept whole in the table, and the message says so.
func TestLettersAreBounded(t *testing.T) {
	t.Parallel()
	l := newRig(t).big(t)
	for _, size := range []int{100, 800 << 10, 950 << 10, 1<<20 + 1, 5 << 20} {
		l.produce(message{key: []byte("k"), value: bytes.Repeat([]byte("{"), size), code: map[bool]string{true: "too_large", false: "syntax"}[size > 1<<20]})
	}
	w := l.start(parts{})
	l.caughtUp(w)
	l.check(w)
	omitted := 0
	for _, r := range l.published(l.source(w, l.topic)) {
		if header(r, "borderwatch-omitted-bytes") != "" {
			omitted++
		}
	}
	if omitted != 3 {
		t.Errorf("%d letters without their bytes, want 3", omitted)
	}
}
