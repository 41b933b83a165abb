package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"borderwatch/consumers/embedded"
	"borderwatch/consumers/embedded/embeddedtest"
)

// cluster is a Kafka cluster that wants TLS and a login.
type cluster struct {
	addrs      []string
	keys       embedded.KeyPair
	caFile     string
	credential embedded.Credential
}

// credentials has one account for each mechanism.
func credentials(mechanisms ...string) (list []embedded.Credential) {
	for i, m := range mechanisms {
		list = append(list, embedded.Credential{Mechanism: m, User: "worker" + strconv.Itoa(i), Password: kafkaSecret})
	}
	return list
}

// fakeCluster is the embedded broker; as picks the account.
func (s *site) fakeCluster(t *testing.T) (as func(mechanism string) *cluster) {
	t.Helper()
	keys, err := embedded.GenerateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	all := credentials(embedded.Plain, embedded.ScramSHA256, embedded.ScramSHA512)
	broker := embeddedtest.Broker(t, embedded.BrokerConfig{Credentials: all, TLS: &keys})
	return s.accounts(t, broker.Addrs(), keys, all)
}

// realCluster is Apache Kafka.
func (s *site) realCluster(t *testing.T) (as func(mechanism string) *cluster) {
	t.Helper()
	keys, err := embedded.GenerateKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	all := credentials(embedded.ScramSHA512)
	kafka := embeddedtest.Kafka(t, embedded.KafkaConfig{Credentials: all, TLS: &keys})
	return s.accounts(t, kafka.Addrs(), keys, all)
}

func (s *site) accounts(t *testing.T, addrs []string, keys embedded.KeyPair, all []embedded.Credential) func(string) *cluster {
	t.Helper()
	ca := s.write(t, rand.Text()+".pem", string(keys.CertPEM))
	return func(mechanism string) *cluster {
		i := slices.IndexFunc(all, func(c embedded.Credential) bool { return c.Mechanism == mechanism })
		return &cluster{addrs: addrs, keys: keys, caFile: ca, credential: all[i]}
	}
}

// client is one of another make than the worker's.
func (c *cluster) client(t *testing.T, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	secure, err := c.keys.ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	var login sasl.Mechanism
	switch c.credential.Mechanism {
	case embedded.Plain:
		login = plain.Auth{User: c.credential.User, Pass: c.credential.Password}.AsMechanism()
	case embedded.ScramSHA256:
		login = scram.Auth{User: c.credential.User, Pass: c.credential.Password}.AsSha256Mechanism()
	default:
		login = scram.Auth{User: c.credential.User, Pass: c.credential.Password}.AsSha512Mechanism()
	}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.addrs...), kgo.DialTLSConfig(secure), kgo.SASL(login),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0)}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// place is where a record lies, whatever the cluster.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// lane is a pair of topics with a consumer group, and what was produced to them: an event's id, or a record's bytes
// where it is to become a dead letter.
type lane struct {
	name, events, trails, letters string

	cluster *cluster
	client  *kgo.Client
	serial  int
	ids     map[place]string
	broken  map[place]brokenRecord
}

type brokenRecord struct {
	code    string
	value   []byte
	headers []kgo.RecordHeader
}

const lanePartitions = 4

// newLane makes the topics. The dead-letter topic is the worker's to make.
func newLane(t *testing.T, c *cluster) *lane {
	t.Helper()
	name := "lane-" + strings.ToLower(rand.Text()[:8])
	l := &lane{name: name, events: name + "-events", trails: name + "-trails", letters: name + "-letters",
		cluster: c, client: c.client(t), ids: map[place]string{}, broken: map[place]brokenRecord{}}
	created, err := kadm.NewClient(l.client).CreateTopics(t.Context(), lanePartitions, 1, nil, l.events, l.trails)
	if err == nil {
		err = created.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// produce writes n records: native events and those of two trails, and some that cannot be read.
func (l *lane) produce(t *testing.T, n int) {
	t.Helper()
	records := make([]*kgo.Record, n)
	ids, codes := make([]string, n), make([]string, n)
	for i := range n {
		l.serial++
		records[i], ids[i], codes[i] = l.record(l.serial)
	}
	if err := l.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		at := place{r.Topic, r.Partition, r.Offset}
		if codes[i] == "" {
			l.ids[at] = ids[i]
		} else {
			l.broken[at] = brokenRecord{codes[i], r.Value, r.Headers}
		}
	}
}

// record is the i-th record with its event id, or the code of its dead letter.
func (l *lane) record(i int) (r *kgo.Record, id, code string) {
	id = fmt.Sprintf("%s-%d", l.name, i)
	r = &kgo.Record{Partition: int32(i % lanePartitions), Key: []byte(id)}
	switch {
	case i%3 > 0:
		r.Topic, r.Value = l.events, []byte(nativeEvent(id, i))
	default:
		r.Topic, r.Value = l.trails, []byte(trailEvent(id, i))
		r.Headers = []kgo.RecordHeader{{Key: "trail", Value: []byte([]string{"main", "audit"}[i/3%2])}}
	}
	switch i % 30 {
	case 7:
		r.Value, code = r.Value[:len(r.Value)/2], "syntax"
	case 15:
		r.Headers, code = []kgo.RecordHeader{{Key: "trail", Value: []byte("other")}}, "no_feed"
	}
	return r, id, code
}

// nativeEvent is an invented access at the example company.
func nativeEvent(id string, i int) string {
	return fmt.Sprintf(`{"schema":"bw/access/v1","event_id":%q,"time":"2026-11-23T10:%02d:%02dZ","source":{"feed":"crm","ip":%q},"actor":{"id":%q},`+
		`"action":"read","outcome":"success","data":{"dataset":"profiles","system":"warehouse","subject_regions":["EU"],"classes":["restricted"]}}`,
		id, i/60%60, i%60, []string{"192.0.2.1", "203.0.113.9", "198.51.100.65"}[i%3], []string{"u-1042", "u-2040", "u-0000"}[i/3%3])
}

// trailEvent is an invented record of a trail.
func trailEvent(id string, i int) string {
	return fmt.Sprintf(`{"eventVersion":"1.10","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/bob","userName":"bob"},`+
		`"eventTime":"2026-11-23T10:%02d:%02dZ","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1",`+
		`"sourceIPAddress":"203.0.113.9","requestParameters":{"bucketName":"example-profiles","key":"a"},"eventID":%q}`, i/60%60, i%60, id)
}

// stored counts what the views show of the lane.
func (l *lane) stored(t *testing.T, s *site) (events, letters int) {
	t.Helper()
	var e, d uint64
	topics := []string{l.events, l.trails}
	if err := s.admin.QueryRow(t.Context(), "SELECT count() FROM bw.events WHERE topic IN $1", topics).Scan(&e); err != nil {
		t.Fatal(err)
	}
	if err := s.admin.QueryRow(t.Context(), "SELECT count() FROM bw.dead_letters WHERE topic IN $1", topics).Scan(&d); err != nil {
		t.Fatal(err)
	}
	return int(e), int(d)
}

// complete checks that every record is in the database once, as what it is, and its bytes with it.
func (l *lane) complete(t *testing.T, s *site) {
	t.Helper()
	events := l.ask(t, s, "SELECT topic, partition, offset, event_id FROM bw.events WHERE topic IN $1")
	if !maps.Equal(events, l.ids) {
		t.Errorf("%d events stored, %d produced; %s", len(events), len(l.ids), difference(events, l.ids))
	}
	raw := l.ask(t, s, "SELECT topic, partition, offset, '' FROM bw.raw_rows WHERE topic IN $1")
	if len(raw) != len(l.ids)+len(l.broken) {
		t.Errorf("the bytes of %d records are kept, %d were produced", len(raw), len(l.ids)+len(l.broken))
	}
	codes, values := map[place]string{}, map[place]string{}
	for at, b := range l.broken {
		codes[at], values[at] = b.code, string(b.value)
	}
	got := l.ask(t, s, "SELECT topic, partition, offset, code FROM bw.dead_letters WHERE topic IN $1 AND reason != ''")
	if !maps.Equal(got, codes) {
		t.Errorf("dead letters: %s", difference(got, codes))
	}
	got = l.ask(t, s, "SELECT topic, partition, offset, value FROM bw.dead_letter_rows WHERE topic IN $1")
	if !maps.Equal(got, values) {
		t.Errorf("bytes of dead letters: %s", difference(got, values))
	}
}

// ask reads rows of topic, partition, offset and a text, and refuses a place that is there twice.
func (l *lane) ask(t *testing.T, s *site, query string) map[place]string {
	t.Helper()
	rows, err := s.admin.Query(t.Context(), query, []string{l.events, l.trails})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[place]string{}
	for rows.Next() {
		var at place
		var text string
		if err := rows.Scan(&at.topic, &at.partition, &at.offset, &text); err != nil {
			t.Fatal(err)
		}
		if _, twice := out[at]; twice {
			t.Errorf("%v is there twice: %s", at, query)
		}
		out[at] = text
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// published checks the dead-letter topic: the bytes and headers of each broken record as they were, with the reason.
func (l *lane) published(t *testing.T) {
	t.Helper()
	client := l.cluster.client(t, kgo.ConsumeTopics(l.letters), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), processPatience)
	defer cancel()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, l.letters)
	if err != nil {
		t.Fatal(err)
	}
	if end := listed.Offsets()[l.letters][0].At; end != int64(len(l.broken)) {
		t.Fatalf("%d records in the dead-letter topic, want %d", end, len(l.broken))
	}
	for n := 0; n < len(l.broken); {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			l.isLetter(t, r)
			n++
		}
	}
}

func (l *lane) isLetter(t *testing.T, r *kgo.Record) {
	t.Helper()
	about := map[string]string{}
	for _, h := range r.Headers {
		about[h.Key] = string(h.Value)
	}
	partition, errPartition := strconv.Atoi(about["borderwatch-partition"])
	offset, errOffset := strconv.ParseInt(about["borderwatch-offset"], 10, 64)
	want, ok := l.broken[place{about["borderwatch-topic"], int32(partition), offset}]
	if errPartition != nil || errOffset != nil || !ok {
		t.Fatalf("a letter of a record that is none: %v", about)
	}
	if !bytes.Equal(r.Value, want.value) || about["borderwatch-code"] != want.code || about["borderwatch-reason"] == "" {
		t.Errorf("%q with %v, want %q with code %s and a reason", r.Value, about, want.value, want.code)
	}
	for _, h := range want.headers {
		if about[h.Key] != string(h.Value) {
			t.Errorf("the header %s=%s is gone from %v", h.Key, h.Value, about)
		}
	}
}

// difference names one place at which two results differ.
func difference(got, want map[place]string) string {
	for at, text := range want {
		if got[at] != text {
			return fmt.Sprintf("%v is %q, want %q", at, got[at], text)
		}
	}
	for at, text := range got {
		if _, ok := want[at]; !ok {
			return fmt.Sprintf("%v, %q, was never produced", at, text)
		}
	}
	return "no difference"
}
