package decode_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"borderwatch/consumers/decode"
	"borderwatch/schemas/access"
)

// flatEvents makes distinct flat events of 27 fields and about 750 bytes.
func flatEvents(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	events := make([][]byte, n)
	for i := range events {
		events[i] = fmt.Appendf(nil, `{"schema":"bw/access/v1","event_id":"%016x%08x","time":"2026-03-01T%02d:%02d:%02d.%03dZ","source.feed":"crm-gateway","source.seq":%d,`+
			`"source.ip":"203.0.%d.%d","actor.id":"u-%05d","actor.kind":"%s","actor.employer_country":"%s","actor.home_country":"%s","session.id":"s-%08x",`+
			`"session.mfa":true,"declared.physical_country":"%s","action":"%s","outcome":"%s","data.dataset":"profiles_%03d","data.system":"warehouse-%d",`+
			`"data.subject_regions":["%s"],"data.classes":["%s"],"data.form":"clear","data.storage_country":"%s","data.records":%d,"data.bytes":%d,`+
			`"approval.id":"APR-%06d","ticket.id":"T-%06d","justification":"customer asked for a copy of the order %d","gateway.decision":"allowed"}`,
			r.Uint64(), i, r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000), i, r.IntN(256), r.IntN(256), r.IntN(20000), pick("employee", "contractor", "service"),
			pick("DE", "IE", "US", "IN"), pick("DE", "IE", "US", "IN"), r.Uint32(), pick("DE", "FR", "US", "IN"), pick("read", "query", "export", "list"), pick("success", "denied"),
			r.IntN(300), r.IntN(9), pick("EU", "US", "IN"), pick("restricted", "personal"), pick("IE", "DE", "US"), r.IntN(10000), r.IntN(1<<24), r.IntN(1000000), r.IntN(1000000), r.IntN(1000000))
	}
	return events
}

func BenchmarkNative(b *testing.B) {
	benchmark(b, decode.Native, flatEvents(20000))
}

func BenchmarkNativeNested(b *testing.B) {
	benchmark(b, decode.Native, [][]byte{[]byte(fullNested)})
}

func BenchmarkCloudTrail(b *testing.B) {
	benchmark(b, decode.CloudTrail, [][]byte{[]byte(plainTrail)})
}

func BenchmarkGCPAudit(b *testing.B) {
	benchmark(b, decode.GCPAudit, [][]byte{[]byte(plainAudit)})
}

func benchmark(b *testing.B, adapter string, events [][]byte) {
	d := newDecoder(b, adapter)
	var ev access.Event
	size := 0
	for _, e := range events {
		size += len(e)
	}
	b.SetBytes(int64(size / len(events)))
	b.ReportAllocs()
	var rec decode.Record
	i := 0
	for b.Loop() {
		ev.Reset()
		rec.Value = events[i]
		if err := d.Decode(&rec, &ev); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(events) {
			i = 0
		}
	}
}

// Native records allocate nothing once the buffers have grown, foreign ones little.
func TestAllocations(t *testing.T) {
	tests := []struct {
		name, adapter, value string
		most                 float64
	}{
		{"flat", decode.Native, string(flatEvents(1)[0]), 0},
		{"flat with lists and escapes", decode.Native, fullFlat, 0},
		{"nested", decode.Native, fullNested, 0},
		{"unknown members", decode.Native, with(manyMembers(20)), 0},
		{"CloudTrail", decode.CloudTrail, plainTrail, 8},
		{"audit log", decode.GCPAudit, plainAudit, 4},
		{"Access Transparency", decode.AccessTransparency, plainTransparency, 4},
		{"OCSF", decode.OCSF, plainDatastore, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDecoder(t, tt.adapter)
			var ev access.Event
			rec := decode.Record{Value: []byte(tt.value)}
			allocs := testing.AllocsPerRun(100, func() {
				ev.Reset()
				if err := d.Decode(&rec, &ev); err != nil {
					t.Fatal(err)
				}
			})
			if allocs > tt.most {
				t.Errorf("%v allocations a record, want at most %v", allocs, tt.most)
			}
		})
	}
}
