package ledger_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"borderwatch/consumers/ledger"
)

// BenchmarkAppend measures durable appends with the default batch age, each
// caller on a partition of its own. One op is one leaf.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l, err := ledger.Open(b.Context(), ledger.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer closeLog(b, l)
			appendFrom(b, l, callers)
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
	perCaller := b.N / callers
	if perCaller > 0 {
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(perCaller)/1000, "ms/append")
	}
	b.ReportMetric(float64(perCaller*callers)/b.Elapsed().Seconds(), "leaves/s")
}

func BenchmarkParseLeaf(b *testing.B) {
	text := batch(7, 1200000, 1219999, 48211).Marshal()
	for b.Loop() {
		if _, err := ledger.ParseLeaf(text); err != nil {
			b.Fatal(err)
		}
	}
}
