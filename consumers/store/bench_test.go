package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// sample is a prepared event of ordinary traffic: one data set, a few nearly matched rules, an alert on one in a hundred.
type sample struct {
	event   access.Event
	content access.Digest
	verdict *alert.Verdict
	value   []byte
}

func samples(n int) []sample {
	r := rand.New(rand.NewPCG(1, 2))
	quiet := &alert.Verdict{Near: fullVerdict(0).Near, NearTotal: 2}
	out := make([]sample, n)
	for i := range out {
		ev := fullEvent(int64(i))
		ev.ID = fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
		ev.Actor.ID = fmt.Sprintf("u-%d", r.IntN(5000))
		ev.Actor.KindRef, ev.Actor.EmployerCountryRef, ev.Actor.EmployerEntityRef = 0, 0, ""
		ev.Actor.CoveredPersonRef = 0
		ev.Session.ID = fmt.Sprintf("s-%x", r.Uint32())
		ev.Source.Address = fmt.Sprintf("198.51.%d.%d", r.IntN(100), r.IntN(256))
		ev.Data.Items = ev.Data.Items[:1]
		ev.Data.Items[0].Classes = ev.Data.Items[0].ClassesRef
		ev.Data.Items[0].Dataset = fmt.Sprintf("eu.users.t%d", r.IntN(400))
		ev.Data.Records = int64(r.IntN(1000))
		ev.Time = testTime + access.Millis(i)
		ev.Location.Candidates = access.SetOf(access.Country(1 + r.IntN(60)))
		ev.Reason, ev.Ticket, ev.Approval = "", "", access.Approval{}
		v := quiet
		if i%100 == 0 {
			v = fullVerdict(byte(i))
			v.Alerts = v.Alerts[:1]
			v.Alerts[0].ID = access.Digest{1, byte(i >> 16), byte(i >> 8), byte(i)}
		}
		content, _ := ev.ContentDigest(nil)
		out[i] = sample{*ev, content, v, record(ev)}
	}
	return out
}

// record is about 750 bytes of native JSON.
func record(ev *access.Event) []byte {
	return fmt.Appendf(nil, `{"schema":"bw/access/v1","event_id":"%s","time":"2026-05-28T20:26:%02d.%03dZ","source.feed":"gateway","source.seq":%d,"source.ip":"%s",`+
		`"actor.id":"%s","actor.kind":"employee","actor.employer_country":"DE","actor.employer_entity":"Example Social GmbH","actor.home_country":"DE",`+
		`"actor.groups":["sre","oncall"],"session.id":"%s","session.mfa":true,"declared.office_country":"IE","declared.physical_country":"IE","action":"read",`+
		`"outcome":"success","data.dataset":"%s","data.system":"warehouse","data.subject_regions":["EU"],"data.classes":["restricted"],"data.categories":["contact"],`+
		`"data.form":"clear","data.storage_country":"NO","data.records":%d,"gateway.id":"gw-1","gateway.decision":"allowed","transfer.mechanism":"none"}`,
		ev.ID, ev.Time/1000%60, ev.Time%1000, ev.Source.Seq, ev.Source.Address, ev.Actor.ID, ev.Session.ID, ev.Data.Items[0].Dataset, ev.Data.Records)
}

func fillSamples(b *store.Block, list []sample, batch store.Batch) {
	b.Begin(batch)
	for i := range list {
		s := &list[i]
		s.event.Kafka.Offset = batch.First + int64(i)
		b.AppendEvent(&s.event, s.content, s.verdict)
		b.AppendRaw(s.event.Kafka.Offset, testTime, nil, s.value, nil)
	}
	b.Seal(store.Seal{Last: batch.First + int64(len(list)) - 1})
}

const benchRows = 131_072

// BenchmarkFill appends events and their raw bytes to a reused block.
func BenchmarkFill(b *testing.B) {
	list := samples(2048) // near the cache, as events are that were just judged
	block := store.NewBlock()
	round := func() {
		block.Begin(testBatch(0, 0))
		for i := range int64(benchRows) {
			s := &list[i%2048]
			block.AppendEvent(&s.event, s.content, s.verdict)
			block.AppendRaw(i, testTime, nil, s.value, nil)
		}
	}
	round()
	b.ReportAllocs()
	own := cpu(b, os.Getpid())
	b.ResetTimer()
	for range b.N {
		round()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchRows), "ns/event")
	b.ReportMetric(float64((cpu(b, os.Getpid())-own).Nanoseconds())/float64(b.N*benchRows), "cpu-ns/event")
	b.ReportMetric(float64(len(list[0].value)), "B/record")
}

// BenchmarkInsert stores filled blocks and reports what both sides spend.
func BenchmarkInsert(b *testing.B) {
	for _, compression := range []string{"none", "lz4"} {
		b.Run(compression, func(b *testing.B) {
			shared(b).migrated(b, "bw_bench")
			opt := shared(b).options("bw_bench")
			opt.Compression = compression
			s := open(b, opt)
			list := samples(benchRows)
			block := store.NewBlock()
			var us, clickhouse time.Duration
			b.ResetTimer()
			for i := range b.N {
				b.StopTimer()
				fillSamples(block, list, testBatch(0, int64(i)*benchRows))
				own, other := cpu(b, os.Getpid()), cpu(b, shared(b).PID())
				b.StartTimer()
				if err := s.Insert(context.Background(), block); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				us, clickhouse = us+cpu(b, os.Getpid())-own, clickhouse+cpu(b, shared(b).PID())-other
				b.StartTimer()
			}
			rows := float64(b.N * benchRows)
			b.ReportMetric(rows/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(us.Nanoseconds())/rows, "own-cpu-ns/event")
			b.ReportMetric(float64(clickhouse.Nanoseconds())/rows, "clickhouse-cpu-ns/event")
		})
	}
}

// cpu is the processor time that a process has used, from /proc; 0 elsewhere.
func cpu(b *testing.B, pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
