package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"borderwatch/consumers/ledger"
)

// Sample is what a random sample of events that did not alert came to.
type Sample struct {
	Seed       uint64  `json:"seed"`
	Population int64   `json:"population"` // recorded events, those that alerted among them
	Drawn      int     `json:"drawn"`      // events that did not alert
	Missed     int     `json:"missed"`     // of those, events that judging again comes to otherwise
	Confidence float64 `json:"confidence"`
	Bound      float64 `json:"bound"` // with that confidence, at most this share of them is wrong
	Method     string  `json:"method"`
}

const (
	confidence = 0.95
	method     = "one-sided exact upper bound (Clopper and Pearson, Biometrika 26, 1934)"
)

func (s *Sample) write(w io.Writer) {
	fmt.Fprintf(w, "sample with seed %d: %d events that did not alert, of %d events; %d come out otherwise; with %.0f %% confidence at most %.4f %% of all do, %s\n",
		s.Seed, s.Drawn, s.Population, s.Missed, 100*s.Confidence, 100*s.Bound, s.Method)
}

// missBound is the largest share p at which a sample of n with so few misses is still as likely as 1-confidence:
// P(X ≤ missed) = 1-confidence for a binomial X. Without a miss it is 1-(1-confidence)^(1/n), about 3/n.
func missBound(n, missed int) float64 {
	if n == 0 || missed >= n {
		return 1
	}
	low, high := 0.0, 1.0
	for range 100 {
		p := (low + high) / 2
		if atMost(n, missed, p) > 1-confidence {
			low = p
		} else {
			high = p
		}
	}
	return high
}

// atMost is P(X ≤ k) for a binomial X of n trials with chance p.
func atMost(n, k int, p float64) (sum float64) {
	choose := func(i int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		return a - b - c
	}
	for i := range k + 1 {
		sum += math.Exp(choose(i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}

// maxRounds bounds how often events are drawn again in place of those that alerted.
const maxRounds = 20

// minDraw is how many are drawn at least, so that few rounds do. What was drawn is kept: to leave some of it out would
// make it a choice.
const minDraw = 20

// sample draws events that did not alert and judges them again. The batches that they lie in are compared with their
// roots, so that nobody can answer the sample with other records.
func (v *verification) sample(ctx context.Context) error {
	v.judging = true
	if v.log.from > 0 {
		v.report.limit("The sample is drawn from the batches after the state; --whole draws from all.")
	}
	if err := v.connect(ctx); err != nil {
		return err
	}
	if err := v.receipts(ctx, v.log.from); err != nil {
		return err
	}
	var leaves []ledger.Entry
	result := &Sample{Seed: v.options.seed, Confidence: confidence, Method: method}
	v.report.Sample = result
	var ends []int64 // of each leaf among all events
	for _, c := range v.sortedChains() {
		for _, e := range c.leaves {
			if b, ok := e.Leaf.(ledger.Batch); ok && b.Events > 0 && v.receipted(e.Index) {
				result.Population += b.Events
				leaves, ends = append(leaves, e), append(ends, result.Population)
			}
		}
	}
	c, err := v.newChecker(ctx)
	if err != nil {
		return err
	}
	defer c.client.Close()
	draw := drawer{rand.New(rand.NewPCG(v.options.seed, 0)), ends, map[int64]bool{}}
	for range maxRounds {
		rest := v.options.n - result.Drawn
		if rest <= 0 {
			break
		}
		picks := draw.next(max(rest, minDraw))
		if len(picks) == 0 {
			break
		}
		for _, at := range sortedKeys(picks) {
			if err := c.check(ctx, sampled(leaves[at], picks[at], result)); err != nil {
				return err
			}
		}
	}
	result.Bound = missBound(result.Drawn, result.Missed)
	if result.Drawn == 0 {
		return errors.New("no event that did not alert")
	}
	return nil
}

func sampled(leaf ledger.Entry, pick map[int64]bool, result *Sample) *stretch {
	return &stretch{leaves: []ledger.Entry{leaf}, pick: []map[int64]bool{pick}, judged: func(_ int64, alerted, same bool) {
		if alerted {
			return
		}
		result.Drawn++
		if !same {
			result.Missed++
		}
	}}
}

// drawer draws events without drawing one twice.
type drawer struct {
	random *rand.Rand
	ends   []int64
	drawn  map[int64]bool
}

// next draws n more events: their positions in their batch, by batch.
func (d *drawer) next(n int) map[int]map[int64]bool {
	picks := map[int]map[int64]bool{}
	if len(d.ends) == 0 {
		return picks
	}
	all := d.ends[len(d.ends)-1]
	for ; n > 0 && int64(len(d.drawn)) < all; n-- {
		k := d.random.Int64N(all)
		for d.drawn[k] {
			k = d.random.Int64N(all)
		}
		d.drawn[k] = true
		leaf, _ := slices.BinarySearch(d.ends, k+1)
		first := int64(0)
		if leaf > 0 {
			first = d.ends[leaf-1]
		}
		if picks[leaf] == nil {
			picks[leaf] = map[int64]bool{}
		}
		picks[leaf][k-first] = true
	}
	return picks
}
