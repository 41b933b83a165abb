package kafka_test

import (
	"errors"
	"testing"

	"borderwatch/consumers/kafka"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchAnswer is a Fetch response as franz-go encodes it, with its length and
// correlation id.
func fetchAnswer(version int16, do func(*kmsg.FetchResponse)) []byte {
	res := kmsg.NewPtrFetchResponse()
	res.Version = version
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic = "t"
	p := kmsg.NewFetchResponseTopicPartition()
	p.HighWatermark, p.RecordBatches = 10, []byte("records")
	p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 2}}
	topic.Partitions = append(topic.Partitions, p)
	res.Topics = append(res.Topics, topic)
	if do != nil {
		do(res)
	}
	body := res.AppendTo([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	n := len(body) - 4
	body[0], body[1], body[2], body[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return body
}

func TestExchangeReadsEveryVersion(t *testing.T) {
	for version := int16(4); version <= 11; version++ {
		raw, err := kafka.Exchange(version, limit, fetchAnswer(version, nil))
		if err != nil || string(raw) != "records" {
			t.Errorf("v%d: %q, %v", version, raw, err)
		}
	}
	for _, version := range []int16{0, 3, 12} {
		_, err := kafka.Exchange(version, limit, fetchAnswer(11, nil))
		var unsupported *kafka.Unsupported
		if !errors.As(err, &unsupported) {
			t.Errorf("v%d: %v", version, err)
		}
	}
}

func TestExchangeRefusesWrongAnswers(t *testing.T) {
	good := fetchAnswer(11, nil)
	otherID := append([]byte{}, good...)
	otherID[7] = 9
	tests := []struct {
		name   string
		answer []byte
		want   string
	}{
		{"other correlation id", otherID, "correlation id 9"},
		{"other topic", fetchAnswer(11, func(r *kmsg.FetchResponse) { r.Topics[0].Topic = "u" }), `"u"[0] instead of "t"[0]`},
		{"other partition", fetchAnswer(11, func(r *kmsg.FetchResponse) { r.Topics[0].Partitions[0].Partition = 4 }), "[4] instead of"},
		{"no topic", fetchAnswer(11, func(r *kmsg.FetchResponse) { r.Topics = nil }), "0 topics"},
		{"no partition", fetchAnswer(11, func(r *kmsg.FetchResponse) { r.Topics[0].Partitions = nil }), "0 partitions"},
		{"error of the whole response", fetchAnswer(11, func(r *kmsg.FetchResponse) { r.ErrorCode = 56 }), "[56]"},
		{"connection closed", nil, "EOF"},
	}
	for _, tt := range tests {
		_, err := kafka.Exchange(11, limit, tt.answer)
		t.Run(tt.name, func(t *testing.T) { expect(t, err, tt.want) })
	}
	for n := range good {
		if _, err := kafka.Exchange(11, limit, good[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", n, len(good))
		}
	}
	_, err := kafka.Exchange(11, 3, good)
	var tooLarge *kafka.TooLarge
	if !errors.As(err, &tooLarge) {
		t.Errorf("7 bytes with a limit of 3: %v", err)
	}
}

func FuzzExchange(f *testing.F) {
	for version := int16(4); version <= 11; version++ {
		f.Add(version, fetchAnswer(version, nil))
	}
	f.Fuzz(func(t *testing.T, version int16, answer []byte) {
		raw, err := kafka.Exchange(version, 1000, answer)
		if err == nil && len(raw) > 1000 {
			t.Errorf("%d bytes with a limit of 1000", len(raw))
		}
	})
}
