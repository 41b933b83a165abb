package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/store"
)

const eraseNeeds = config.NeedClickHouse | config.NeedLedger

type eraseFlags struct {
	config    configFlags
	ticket    string
	ground    string
	approvers []string
	source    string
	yes       bool
}

func newErase() *cobra.Command {
	var f eraseFlags
	cmd := &cobra.Command{
		Use:   "erase TOPIC PARTITION OFFSET... --config FILE --ticket TEXT --approved-by A --approved-by B",
		Short: "Erase what is stored of records, and leave evidence that it was",
		Long: `erase deletes the bytes, the event, the alerts and the dead letter of each offset
and leaves a tombstone with the hashes of those rows: every proof still holds, and
nobody can guess what was there from a hash whose salt is gone.

First the erasure is recorded in the evidence log, with ticket and approvers; the
partner accepts no tombstone without it. A batch that is not as it was recorded is
not touched: erasing must not hide that. What a hold of the configuration
(erase.holds) is on is erased only if --ground names it and says why.

Not reached: Kafka, backups, what was exported, and for some minutes the old parts
that ClickHouse keeps on its disk. After an interruption run it again. The account
needs the role bw_erase. Without --yes nothing is done: it says what would be.`,
		Example: `  borderwatch erase --config erase.yaml access-events 3 51877 --ticket DSR-12 --approved-by ada --approved-by bob --yes
  borderwatch erase --config erase.yaml access-events 3 51877 --ticket DSR-12 --approved-by ada --approved-by bob \
    --ground "LIT-2026-4: released by counsel on 2026-11-20" --yes`,
		Args: usageArgs(cobra.MinimumNArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, offsets, err := erasePlaces(args)
			if err != nil {
				return usageError{err}
			}
			return f.run(cmd.Context(), at, offsets, cmd.OutOrStdout())
		},
	}
	f.config.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.ticket, "ticket", "", "ticket of the request; it is recorded (required)")
	flags.StringArrayVar(&f.approvers, "approved-by", nil, "who approved it, twice or more (required); recorded, not checked")
	flags.StringVar(&f.ground, "ground", "", "why it precedes a hold, with the name of each hold; it is recorded")
	flags.BoolVar(&f.yes, "yes", false, "erase")
	sourceFlag(cmd, &f.source)
	return cmd
}

// erasePlaces reads topic, partition and offsets, which come out ascending and once each.
func erasePlaces(args []string) (at store.Place, offsets []int64, err error) {
	for _, arg := range args[2:] {
		if at, err = placeOf([]string{args[0], args[1], arg}); err != nil {
			return at, nil, err
		}
		offsets = append(offsets, at.Offset)
	}
	slices.Sort(offsets)
	offsets = slices.Compact(offsets)
	if len(offsets) > ledger.MaxErased {
		return at, nil, fmt.Errorf("%d offsets, at most %d at once", len(offsets), ledger.MaxErased)
	}
	return at, offsets, nil
}

// check makes the leaf, so that what it would refuse is refused before anything is read.
func (f *eraseFlags) check(key ledger.Key, offsets []int64) (ledger.Erasure, error) {
	approvers := slices.Clone(f.approvers)
	slices.Sort(approvers)
	leaf := ledger.Erasure{Source: key.Source, Topic: key.Topic, Partition: key.Partition, Offsets: offsets, Ticket: f.ticket,
		Ground: f.ground, Approvers: slices.Compact(approvers), By: operator(), Time: time.Now().UTC().Truncate(time.Millisecond)}
	return leaf, leaf.Validate()
}

func (f *eraseFlags) run(ctx context.Context, at store.Place, offsets []int64, stdout io.Writer) error {
	loaded, err := f.config.load(eraseNeeds)
	if err != nil {
		return err
	}
	if f.config.print {
		return printConfig(stdout, loaded)
	}
	s, err := openReader(ctx, loaded)
	if err != nil {
		return err
	}
	defer s.Close()
	source, err := s.SourceOf(ctx, store.Place{Topic: at.Topic, Partition: at.Partition, Offset: offsets[0]}, f.source)
	if err != nil {
		return err
	}
	leaf, err := f.check(ledger.Key{Source: source, Topic: at.Topic, Partition: at.Partition}, offsets)
	if err != nil {
		return usageError{err}
	}
	history, done, err := openHistory(ctx, &loaded.Ledger)
	if err != nil {
		return err
	}
	e := erasure{store: s, ledger: history, holds: loaded.Erase.Holds, leaf: leaf, out: stdout, dry: !f.yes}
	return errors.Join(e.run(ctx), done())
}

// eraseLedger is what an erasure needs of the log.
type eraseLedger interface {
	Append(ctx context.Context, leaf ledger.Leaf) (uint64, error)
	Leaves(ctx context.Context, k ledger.Key, from int64) iter.Seq2[ledger.Entry, error]
}

// openHistory takes the shared log, or the one in a folder that no worker has open.
func openHistory(ctx context.Context, cfg *config.Ledger) (eraseLedger, func() error, error) {
	if cfg.URL != "" {
		client, err := ledgerClient(*cfg)
		return client, func() error { return nil }, err
	}
	o := ledgerOptions(cfg)
	o.Heartbeat = 0
	l, err := ledger.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return l, func() error { return l.Close(context.WithoutCancel(ctx)) }, nil
}

// erasure is one run over the offsets of a partition.
type erasure struct {
	store  *store.Store
	ledger eraseLedger
	holds  []config.Hold
	leaf   ledger.Erasure
	out    io.Writer
	dry    bool
}

// batchRows is what one stored batch has at the offsets that go.
type batchRows struct {
	receipt    store.Receipt
	tombstones []store.Tombstone
	left       bool // tombstones are there from an interrupted run, or the rows are gone already
}

// run looks at everything before it changes anything: holds, receipts, and whether the batches are as recorded.
//
//  1. the leaf is durable; a crash after it leaves a leaf without tombstones, and the next run writes another;
//  2. tombstones; a crash after them leaves rows beside equal tombstones, and the next run deletes the rows;
//  3. the rows go, those with the salts last.
func (e *erasure) run(ctx context.Context) error {
	at := store.Range{Source: e.leaf.Source, Topic: e.leaf.Topic, Partition: e.leaf.Partition, First: e.leaf.Offsets[0], Last: e.leaf.Offsets[len(e.leaf.Offsets)-1]}
	if err := e.heed(ctx, at); err != nil {
		return err
	}
	batches, err := e.look(ctx, at)
	if err != nil {
		return err
	}
	if e.dry {
		_, err := fmt.Fprintf(e.out, "%s would be erased; --yes does it.\n", counted(batches))
		return err
	}
	if err := e.bury(ctx, batches); err != nil {
		return err
	}
	if err := e.store.EraseRows(ctx, at, e.leaf.Offsets); err != nil {
		return fmt.Errorf("recorded, not all erased yet, run it again: %w", err)
	}
	_, err = fmt.Fprintf(e.out, "%s erased. For some minutes ClickHouse keeps the old parts on its disk; Kafka and backups keep what they have.\n%s",
		counted(batches), saltsUntil(batches))
	return err
}

// heed refuses what a hold is on, unless the ground names the hold, and tells of copies.
func (e *erasure) heed(ctx context.Context, at store.Range) error {
	events, err := e.store.Erasable(ctx, at, e.leaf.Offsets)
	if err != nil {
		return err
	}
	readable := map[int64]bool{}
	for _, ev := range events {
		readable[ev.Offset] = true
		if len(ev.Copies) > 0 {
			fmt.Fprintf(e.out, "The event at offset %d is also at %s, which this does not erase.\n", ev.Offset, strings.Join(ev.Copies, ", "))
		}
	}
	for _, h := range e.holds {
		for _, offset := range e.leaf.Offsets {
			i := slices.IndexFunc(events, func(ev store.Erasable) bool { return ev.Offset == offset })
			if ended(h, time.Now()) || i >= 0 && !covers(h, &events[i]) {
				continue // what cannot be read as an event may be about anybody: every hold is on it
			}
			if !slices.Contains(strings.FieldsFunc(e.leaf.Ground, func(r rune) bool { return r == ' ' || r == ':' || r == ',' || r == ';' }), h.Name) {
				return fmt.Errorf("offset %d is under the hold %s (%s): --ground must name it and say why the request precedes it", offset, h.Name, h.Reason)
			}
		}
	}
	return nil
}

func ended(h config.Hold, now time.Time) bool {
	day, err := time.Parse(time.DateOnly, h.Until)
	return err == nil && !now.Before(day.Add(24*time.Hour))
}

// covers reports whether a hold is on an event.
func covers(h config.Hold, ev *store.Erasable) bool {
	on := func(list []string, values ...string) bool {
		return len(list) == 0 || slices.ContainsFunc(values, func(v string) bool { return slices.Contains(list, v) })
	}
	return on(h.Actors, ev.Actor) && on(h.Datasets, ev.Dataset) && on(h.Classes, ev.Classes...)
}

// look reads the batches of the offsets and compares each with its leaf.
func (e *erasure) look(ctx context.Context, at store.Range) ([]batchRows, error) {
	receipts, err := e.store.ReceiptsOf(ctx, at, e.leaf.Offsets)
	if err != nil {
		return nil, err
	}
	var out []batchRows
	for _, r := range receipts {
		b, err := e.lookAt(ctx, r)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (e *erasure) lookAt(ctx context.Context, r store.Receipt) (b batchRows, err error) {
	at := store.Range{Source: r.Source, Topic: r.Topic, Partition: r.Partition, First: r.First, Last: r.Last}
	rows, err := e.store.RowLeaves(ctx, at, r.Batch)
	if err != nil {
		return b, err
	}
	before, err := e.store.Tombstones(ctx, at, r.Batch)
	if err != nil {
		return b, err
	}
	erased := make([]store.RowLeaf, len(before))
	for i := range before {
		erased[i] = before[i].RowLeaf
	}
	all, err := store.MergeLeaves(rows, erased)
	if err != nil {
		return b, err
	}
	recorded, err := e.recorded(ctx, r)
	if err != nil {
		return b, err
	}
	if !intact(all, &recorded) {
		return b, fmt.Errorf("the rows of offsets %d to %d are not those that the log recorded: nothing is erased, or it would hide that; borderwatch-verify says what differs", r.First, r.Last)
	}
	b.receipt, b.left = r, true
	for _, l := range all {
		if !slices.Contains(e.leaf.Offsets, l.Offset) {
			continue
		}
		b.tombstones = append(b.tombstones, store.Tombstone{RowLeaf: l, Ticket: e.leaf.Ticket, Ground: e.leaf.Ground, Approvers: e.leaf.Approvers})
		b.left = b.left && slices.Contains(erased, l)
	}
	return b, nil
}

// intact compares rows and tombstones with the recorded roots. Records may have been dropped as a whole when their time was over.
func intact(all []store.RowLeaf, leaf *ledger.Batch) bool {
	got, n := store.LeafRoots(all)
	if n["raw_rows"] == 0 {
		got.Records = leaf.RecordsRoot
	}
	return got == store.Roots{Records: leaf.RecordsRoot, Events: leaf.EventsRoot, Alerts: leaf.AlertsRoot, Quarantine: leaf.QuarantineRoot}
}

// recorded is the leaf that a receipt names.
func (e *erasure) recorded(ctx context.Context, r store.Receipt) (ledger.Batch, error) {
	for entry, err := range e.ledger.Leaves(ctx, e.leaf.Key(), r.First) {
		if err != nil {
			return ledger.Batch{}, err
		}
		leaf, ok := entry.Leaf.(ledger.Batch)
		if ok && entry.Index == r.LedgerIndex && leaf.First == r.First && leaf.Last == r.Last {
			return leaf, nil
		}
		break
	}
	return ledger.Batch{}, fmt.Errorf("the log has no leaf of offsets %d to %d at index %d: it is another log, or the receipt is false", r.First, r.Last, r.LedgerIndex)
}

// bury records the erasure and stores the tombstones that are not there yet.
func (e *erasure) bury(ctx context.Context, batches []batchRows) error {
	var all []store.RowLeaf
	for _, b := range batches {
		if !b.left {
			for _, t := range b.tombstones {
				all = append(all, t.RowLeaf)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	all, err := store.MergeLeaves(all, nil)
	if err != nil {
		return err
	}
	e.leaf.Tombstones = store.TombstonesDigest(all)
	index, err := e.ledger.Append(ctx, e.leaf)
	if err != nil {
		return fmt.Errorf("record the erasure; nothing was erased: %w", err)
	}
	for _, b := range batches {
		if b.left {
			continue
		}
		for i := range b.tombstones {
			b.tombstones[i].LedgerIndex = index
		}
		if err := e.store.InsertTombstones(ctx, b.receipt, b.tombstones); err != nil {
			return fmt.Errorf("recorded at index %d, nothing erased yet, run it again: %w", index, err)
		}
	}
	return nil
}

// counted says how many rows of which table.
func counted(batches []batchRows) string {
	n := map[string]int{}
	for _, b := range batches {
		for _, t := range b.tombstones {
			n[t.Table]++
		}
	}
	return strconv.Itoa(n["raw_rows"]) + " records, " + strconv.Itoa(n["event_rows"]) + " events, " + strconv.Itoa(n["alert_rows"]) +
		" alerts and " + strconv.Itoa(n["dead_letter_rows"]) + " dead letters"
}

// saltsUntil says from when on nobody can derive a salt again.
func saltsUntil(batches []batchRows) string {
	var newest time.Time
	for _, b := range batches {
		if b.receipt.BatchTime.After(newest) {
			newest = b.receipt.BatchTime
		}
	}
	end := newest.UTC().Truncate(24 * time.Hour).Add(ledger.SaltKeyLife)
	if time.Now().After(end) {
		return ""
	}
	return fmt.Sprintf("The ledger destroys the key of that day's salts by %s; until then who has that key could test a guess.\n", end.Format(time.DateOnly))
}
