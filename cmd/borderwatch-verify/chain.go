package main

import (
	"cmp"
	"fmt"
	"slices"

	"borderwatch/consumers/ledger"
)

// chain is the leaves of one partition, which follow each other without a hole.
type chain struct {
	key         ledger.Key
	first       int64 // of the partition's first leaf
	last        int64 // of its last leaf
	index       uint64
	bundle      string // that judged the last batch
	stateBundle string // the same before the leaves of this run
	before      int64  // end of what earlier runs have checked, first-1 where none has
	events      int64  // recorded so far
	letters     int64
	batches     int64
	leaves      []ledger.Entry // that this run reads
}

// span is everything that the chain accounts for.
func (c *chain) span() ledger.Span { return ledger.Span{Key: c.key, First: c.first, Last: c.last} }

func (c *chain) state() chainState {
	return chainState{c.key.Source, c.key.Topic, c.key.Partition, c.first, c.last, c.index, c.bundle, c.events, c.letters, c.batches}
}

func (s *chainState) chain() *chain {
	return &chain{key: ledger.Key{Source: s.Source, Topic: s.Topic, Partition: s.Partition}, first: s.First, last: s.Last, before: s.Last,
		index: s.Index, bundle: s.Bundle, stateBundle: s.Bundle, events: s.Events, letters: s.Letters, batches: s.Batches}
}

// chains sorts leaves by partition, and finds holes, overlaps and wrong predecessors, and batches that were judged by a
// bundle of which the log had not said before that it is in force.
func (v *verification) follow(entries []ledger.Entry) {
	for _, entry := range entries {
		switch leaf := entry.Leaf.(type) {
		case ledger.Ranged:
			v.link(entry, leaf.Span())
		case ledger.Activation:
			v.announced[leaf.Bundle] = true
		case ledger.Startup:
			v.started(leaf)
		}
	}
}

func (v *verification) link(entry ledger.Entry, span ledger.Span) {
	c := v.chains[span.Key]
	switch {
	case c == nil:
		c = &chain{key: span.Key, first: span.First, last: span.First - 1, before: span.First - 1}
		v.chains[span.Key] = c
		if span.Prev != -1 {
			v.report.find("range", span, v.log.rows([]ledger.Entry{entry}, nil, nil), "the first leaf of the partition says that it follows index %d", span.Prev)
		}
	case span.First != c.last+1 || span.Prev != int64(c.index):
		hole := ledger.Span{Key: span.Key, First: min(c.last+1, span.First), Last: max(c.last, span.First-1)}
		v.report.find("range", hole, v.log.rows([]ledger.Entry{entry}, nil, nil),
			"the leaf at index %d begins at %d and follows index %d, but the one before it is index %d and ends at %d", entry.Index, span.First, span.Prev, c.index, c.last)
	}
	c.last, c.index = span.Last, entry.Index
	c.leaves = append(c.leaves, entry)
	switch leaf := entry.Leaf.(type) {
	case ledger.Gap:
		v.report.Gaps++
	case ledger.Batch:
		c.events, c.letters, c.batches = c.events+leaf.Events, c.letters+leaf.Quarantined, c.batches+1
		v.newest = max(v.newest, leaf.BatchTime.UnixMilli())
		if !v.announced[leaf.Bundle] && c.bundle != leaf.Bundle {
			v.report.find("bundle_unannounced", span, v.log.rows([]ledger.Entry{entry}, nil, nil), "judged by bundle %s, of which no leaf before says that it is in force", leaf.Bundle)
		}
		c.bundle = leaf.Bundle
	}
}

// started notes which program ran, and whether the partner accepted it.
func (v *verification) started(leaf ledger.Startup) {
	b := Build{leaf.Instance, leaf.Version, leaf.Commit, fmt.Sprintf("%x", leaf.Binary), leaf.Time}
	if slices.ContainsFunc(v.report.Builds, func(o Build) bool { return o.Instance == b.Instance && o.Binary == b.Binary }) {
		return
	}
	v.report.Builds = append(v.report.Builds, b)
	if v.builds != nil && !v.builds[b.Binary] {
		v.report.add(Finding{Kind: "build", Where: leaf.Instance, Text: fmt.Sprintf("started at %s with the binary sha256:%s (%s, commit %s), which is not on your list",
			leaf.Time.Format("2006-01-02T15:04:05Z"), b.Binary, b.Version, b.Commit)})
	}
}

func (v *verification) sortedChains() []*chain {
	list := make([]*chain, 0, len(v.chains))
	for _, c := range v.chains {
		list = append(list, c)
	}
	slices.SortFunc(list, func(x, y *chain) int {
		a, b := x.key, y.key
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}
