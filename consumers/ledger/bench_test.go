package ledger_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"borderwatch/consumers/ledger"
)

// BenchmarkAppend measures durable appends with the default batch age, each
// caller on a partition of its own. One op is one leaf.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l, err := ledger.Open(b.Context(), ledger.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			appendFrom(b, l, callers)
			closeLog(b, l)
		})
	}
}

func appendFrom(b *testing.B, w writer, callers int) {
	var partition atomic.Int32
	b.ResetTimer()
	done := make(chan error)
	for range callers {
		go func() {
			p, prev := partition.Add(1), int64(-1)
			for i := range int64(b.N / callers) {
				index, err := w.Append(b.Context(), batch(p, i, i, prev))
				if err != nil {
					done <- err
					return
				}
				prev = int64(index)
			}
			done <- nil
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.StopTimer()
	perCaller := b.N / callers
	if perCaller > 0 {
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(perCaller)/1000, "ms/append")
	}
	b.ReportMetric(float64(perCaller*callers)/b.Elapsed().Seconds(), "leaves/s")
}

// BenchmarkOpen measures the start of a ledger with 50,000 leaves.
func BenchmarkOpen(b *testing.B) {
	const leaves = 50_000
	dir := b.TempDir()
	l, err := ledger.Open(b.Context(), ledger.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	for p := range int32(500) {
		wg.Go(func() {
			prev := int64(-1)
			for i := range int64(leaves / 500) {
				index, err := l.Append(b.Context(), batch(p, i, i, prev))
				if err != nil {
					b.Error(err)
					return
				}
				prev = int64(index)
			}
		})
	}
	wg.Wait()
	closeLog(b, l)
	for b.Loop() {
		l, err := ledger.Open(b.Context(), ledger.Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		closeLog(b, l)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/leaves, "ns/leaf")
}

func BenchmarkParseLeaf(b *testing.B) {
	text := batch(7, 1200000, 1219999, 48211).Marshal()
	for b.Loop() {
		if _, err := ledger.ParseLeaf(text); err != nil {
			b.Fatal(err)
		}
	}
}
