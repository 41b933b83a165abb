package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/cmd/borderwatch/traffic"
)

// BenchmarkVerify measures a whole run over BORDERWATCH_BENCH_EVENTS stored events, 200,000 unless said: rows read and
// hashed, and all judged again. One per cent of them is planted, as in borderwatch bench.
func BenchmarkVerify(b *testing.B) {
	events, err := strconv.Atoi(os.Getenv("BORDERWATCH_BENCH_EVENTS"))
	if err != nil {
		events = 200_000
	}
	r := emptyRig(b)
	world, err := traffic.Collect(os.DirFS(r.bundle))
	r.must(err)
	stamper, err := traffic.NewStamper(world, traffic.Options{Seed: 1, Start: time.Now().Add(-time.Hour), Rate: 100_000, PlantedShare: 0.01}, 20_000)
	r.must(err)
	r.produceTraffic(stamper, events)
	r.large = true
	log, archive, bundles, shut := r.open()
	r.work(log, archive, bundles)
	shut()
	before, server := cpu(b, os.Getpid()), cpu(b, r.server.PID())
	for b.Loop() {
		if code, out := r.verify(b, r.all("--settled-after", "1000h")...); code != exitOK {
			b.Fatalf("exit %d\n%s", code, out)
		} else if b.N == 1 {
			b.Log(out)
		}
	}
	records := float64(events) * float64(b.N)
	b.ReportMetric(float64(cpu(b, os.Getpid())-before)/records, "own-ns/record")
	b.ReportMetric(float64(cpu(b, r.server.PID())-server)/records, "server-ns/record")
	b.ReportMetric(records/b.Elapsed().Seconds(), "records/s")
}

// cpu is the processor time that a process has taken.
func cpu(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	var ticks int64
	for _, field := range strings.Fields(rest)[11:13] { // user and system, see proc(5)
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

func (r *rig) produceTraffic(s *traffic.Stamper, events int) {
	for i := range events {
		value, at := s.Append(nil)
		r.client.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: value, Timestamp: at}, nil)
	}
	r.must(r.client.Flush(r.t.Context()))
}
