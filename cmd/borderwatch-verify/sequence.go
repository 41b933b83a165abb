package main

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"time"
)

// sequences follows the running numbers that sources give their events (source.seq). A number that is missing is an event
// that somebody dropped before Kafka, which no log can prove otherwise.
type sequences struct {
	mu    sync.Mutex
	feeds map[feedName]*sequence
}

type feedName struct{ topic, feed string }

// block is 65,536 numbers, a bit each.
type block [1024]uint64

// maxBlocks bounds the memory of one feed at 128 MB. Numbers further apart than that are no running numbers.
const maxBlocks = 16_384

// sequence is what of one feed's numbers is there.
type sequence struct {
	FeedReport
	through   int64 // all up to here are there or were reported
	blocks    map[int64]*block
	settled   int64 // highest number of a batch that is old enough
	scattered bool
}

// feedState is what of a feed is kept between runs.
type feedState struct {
	FeedReport
	Through int64      `json:"through"`
	Above   [][2]int64 `json:"above"` // numbers that are there above Through, as ranges
}

func newSequences(kept []feedState) *sequences {
	s := &sequences{feeds: map[feedName]*sequence{}}
	for i := range kept {
		k := &kept[i]
		q := &sequence{FeedReport: k.FeedReport, through: k.Through, settled: -1, blocks: map[int64]*block{}}
		for _, r := range k.Above {
			for n := r[0]; n <= r[1]; n++ {
				q.set(n)
			}
		}
		s.feeds[feedName{k.Topic, k.Feed}] = q
	}
	return s
}

// seen is what a checker has met of one feed since it last told.
type seen struct {
	events, newest int64
	numbers        []numbered
}

type numbered struct{ seq, batch int64 }

// feedCounter collects the numbers of one goroutine, so that the feeds are locked once for a stretch.
type feedCounter struct {
	last  []byte
	at    *seen
	feeds map[string]*seen
}

func (f *feedCounter) see(r *row) {
	if f.at == nil || string(r.feed) != string(f.last) {
		if f.feeds == nil {
			f.feeds = map[string]*seen{}
		}
		f.last = append(f.last[:0], r.feed...)
		if f.at = f.feeds[string(f.last)]; f.at == nil {
			f.at = &seen{}
			f.feeds[string(f.last)] = f.at
		}
	}
	f.at.events++
	f.at.newest = max(f.at.newest, r.kafkaTime)
	if r.seq >= 0 {
		f.at.numbers = append(f.at.numbers, numbered{r.seq, r.time})
	}
}

// take adds what a goroutine has collected of a topic. Numbers of batches before horizon are settled.
func (s *sequences) take(topic string, f *feedCounter, horizon int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, x := range f.feeds {
		key := feedName{topic, name}
		q := s.feeds[key]
		if q == nil {
			q = &sequence{FeedReport: FeedReport{Topic: topic, Feed: name}, through: -1, settled: -1, blocks: map[int64]*block{}}
			s.feeds[key] = q
		}
		q.Events += x.events
		if at := time.UnixMilli(x.newest).UTC(); at.After(q.Newest) {
			q.Newest = at
		}
		for _, n := range x.numbers {
			q.add(n.seq)
			if n.batch <= horizon {
				q.settled = max(q.settled, n.seq)
			}
		}
		x.events, x.numbers = 0, x.numbers[:0]
	}
}

func (q *sequence) add(n int64) {
	if q.Numbered == 0 {
		q.First, q.Highest = n, n
	}
	q.Numbered++
	q.First, q.Highest = min(q.First, n), max(q.Highest, n)
	if n > q.through && q.set(n) {
		q.Repeated++
	}
}

// set notes a number and reports whether it was there.
func (q *sequence) set(n int64) bool {
	b := q.blocks[n>>16]
	if b == nil {
		if len(q.blocks) == maxBlocks {
			q.scattered = true
			return false
		}
		b = &block{}
		q.blocks[n>>16] = b
	}
	word, bit := &b[n&0xffff>>6], uint64(1)<<(n&63)
	was := *word&bit != 0
	*word |= bit
	return was
}

// present lists the numbers above through as ranges.
func (q *sequence) present() (ranges [][2]int64) {
	for _, at := range sortedKeys(q.blocks) {
		for w, word := range q.blocks[at] {
			for ; word != 0; word &= word - 1 {
				n := at<<16 + int64(w)<<6 + int64(bits.TrailingZeros64(word))
				if last := len(ranges) - 1; last >= 0 && ranges[last][1] == n-1 {
					ranges[last][1] = n
				} else {
					ranges = append(ranges, [2]int64{n, n})
				}
			}
		}
	}
	return ranges
}

// maxGaps is how many gaps of a feed are findings of their own.
const maxGaps = 20

// tell reports what is missing below the numbers that are settled, and feeds that went silent.
func (s *sequences) tell(r *Report, newest int64, o *options, now time.Time) {
	for _, name := range s.names() {
		q := s.feeds[name]
		where := "feed " + name.feed + " of " + name.topic
		if o.silentAfter > 0 && now.Sub(q.Newest) > o.silentAfter {
			r.add(Finding{Kind: "feed_silent", Where: where, Text: "nothing came since " + q.Newest.Format(time.RFC3339)})
		}
		if q.scattered {
			r.limit("The numbers of %s are too far apart to look for missing ones.", where)
			r.Feeds = append(r.Feeds, q.FeedReport)
			continue
		}
		gaps := q.gaps()
		for i, gap := range gaps {
			q.Missing += gap[1] - gap[0] + 1
			if i < maxGaps {
				r.add(Finding{Kind: "sequence_gap", Where: where, Evidence: gap,
					Text: "source.seq " + numbersText(gap) + " never came: the source numbered events that did not reach Kafka, or left numbers out"})
			}
		}
		if len(gaps) > maxGaps {
			r.add(Finding{Kind: "sequence_gap", Where: where, Evidence: gaps,
				Text: fmt.Sprintf("%d more runs of numbers never came, up to %s", len(gaps)-maxGaps, numbersText(gaps[len(gaps)-1]))})
		}
		r.Feeds = append(r.Feeds, q.FeedReport)
	}
}

// gaps lists the missing numbers up to the settled ones and moves through behind them.
func (q *sequence) gaps() (gaps [][2]int64) {
	next := q.through + 1
	if q.through < 0 {
		next = q.First
	}
	for _, r := range q.present() {
		if r[0] > q.settled {
			break
		}
		if r[0] > next {
			gaps = append(gaps, [2]int64{next, r[0] - 1})
		}
		next = max(next, r[1]+1)
		q.through = max(q.through, r[1])
	}
	return gaps
}

func numbersText(r [2]int64) string {
	if r[0] == r[1] {
		return fmt.Sprint(r[0])
	}
	return fmt.Sprintf("%d to %d", r[0], r[1])
}

func (s *sequences) names() []feedName {
	names := make([]feedName, 0, len(s.feeds))
	for name := range s.feeds {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b feedName) int { return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.feed, b.feed)) })
	return names
}

// state is what the next run goes on from.
func (s *sequences) state() (out []feedState) {
	for _, name := range s.names() {
		q := s.feeds[name]
		k := feedState{FeedReport: q.FeedReport, Through: q.through}
		for _, r := range q.present() {
			if r[1] > q.through {
				k.Above = append(k.Above, [2]int64{max(r[0], q.through+1), r[1]})
			}
		}
		out = append(out, k)
	}
	return out
}
