package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"
)

// Range names the offsets of one recorded batch.
type Range struct {
	Source      string
	Topic       string
	Partition   int32
	First, Last int64
}

// Found is what the database holds of a range, whatever batch wrote it.
type Found struct {
	Events, Raw, Alerts, DeadLetters uint64
	// Doubled counts offsets with more than one event row.
	Doubled uint64
	// Receipt says that the very range has a receipt that counts.
	Receipt bool
}

// Look counts the rows of a range before a takeover inserts it again: all of them there and no receipt means that only
// the receipt is missing, some or others are a finding. It reads what every replica has.
func (s *Store) Look(ctx context.Context, r Range) (Found, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	if err := s.sync(ctx); err != nil {
		return Found{}, err
	}
	var f Found
	where := "source = $1 AND topic = $2 AND partition = $3 AND offset BETWEEN $4 AND $5"
	query := fmt.Sprintf(`SELECT (SELECT count() FROM %[1]s.event_rows WHERE %[2]s), (SELECT count() FROM %[1]s.raw_rows WHERE %[2]s),
		(SELECT count() FROM %[1]s.alert_rows WHERE %[2]s), (SELECT count() FROM %[1]s.dead_letter_rows WHERE %[2]s),
		(SELECT toUInt64(count() - uniqExact(offset)) FROM %[1]s.event_rows WHERE %[2]s),
		(SELECT count() > 0 FROM %[1]s.batches WHERE source = $1 AND topic = $2 AND partition = $3 AND first_offset = $4 AND last_offset = $5)`,
		s.opt.Database, where)
	row := s.conn.QueryRow(ctx, query, r.Source, r.Topic, r.Partition, r.First, r.Last)
	var receipt uint8
	if err := row.Scan(&f.Events, &f.Raw, &f.Alerts, &f.DeadLetters, &f.Doubled, &receipt); err != nil {
		return Found{}, fmt.Errorf("look for offsets %d to %d of %s[%d]: %w", r.First, r.Last, r.Topic, r.Partition, err)
	}
	f.Receipt = receipt == 1
	return f, nil
}

// rowsAtOnce is about how many rows of a table one question of StoredRoots asks for, and how many salts it keeps.
const rowsAtOnce = 16_384

// StoredRoots reads the rows back that are stored under the id of a sealed block, and computes their roots: those of
// Block.Roots where every row is there as it was sent. It asks after Look, which waits for the replicas. The error wraps
// ErrRowsDiffer where a row has no salt, or an alert names another bundle than the block.
func (s *Store) StoredRoots(ctx context.Context, b *Block) (Roots, error) {
	id, last := b.id(), b.seal.Last
	// By rows and not by offsets: of a compacted topic a batch may span millions that hold nothing.
	step := (last-b.batch.First)/int64(b.Rows()/rowsAtOnce+1) + 1
	var all []RowLeaf
	for first := b.batch.First; first <= last; first += step {
		r := Range{Source: b.batch.Source, Topic: b.batch.Topic, Partition: b.batch.Partition, First: first, Last: min(last, first+step-1)}
		leaves, err := s.RowLeaves(ctx, r, hex.EncodeToString(id[:]))
		if err != nil {
			return Roots{}, err
		}
		all = append(all, leaves...)
	}
	if err := s.sameBundle(ctx, b); err != nil {
		return Roots{}, err
	}
	roots, _ := LeafRoots(all)
	return roots, nil
}

// sameBundle looks at the one column that people see of a row and that is not part of its leaf: the batch's leaf has it.
func (s *Store) sameBundle(ctx context.Context, b *Block) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	var others uint64
	id := b.id()
	query := fmt.Sprintf("SELECT count() FROM %s.alert_rows WHERE source = $1 AND topic = $2 AND partition = $3 AND offset BETWEEN $4 AND $5 "+
		"AND batch_id = CAST(unhex($6), 'FixedString(16)') AND bundle != $7", s.opt.Database)
	err := s.conn.QueryRow(ctx, query, b.batch.Source, b.batch.Topic, b.batch.Partition, b.batch.First, b.seal.Last, hex.EncodeToString(id[:]), b.batch.Bundle).Scan(&others)
	if err != nil {
		return fmt.Errorf("bundles of alert_rows: %w", err)
	}
	if others > 0 {
		return fmt.Errorf("%w: %d alert_rows at offsets %d to %d name another bundle than %s", ErrRowsDiffer, others, b.batch.First, b.seal.Last, b.batch.Bundle)
	}
	return nil
}

// sync makes the replica that is asked catch up, so that what a quorum has acknowledged is seen.
func (s *Store) sync(ctx context.Context) error {
	if !s.opt.Replicated {
		return nil
	}
	for _, table := range []string{"event_rows", "raw_rows", "alert_rows", "dead_letter_rows", "receipts", "notices"} {
		if err := s.conn.Exec(ctx, fmt.Sprintf("SYSTEM SYNC REPLICA %s.%s", s.opt.Database, table)); err != nil {
			return fmt.Errorf("catch up with the other replicas: %w", err)
		}
	}
	return nil
}

// LastReceipt is the last offset of the unbroken run of receipts of a partition, from its first receipt on; a gap that
// has a notice counts as covered. -1 where there is no receipt. Batches after it may have receipts too.
func (s *Store) LastReceipt(ctx context.Context, source, topic string, partition int32) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	if err := s.sync(ctx); err != nil {
		return 0, err
	}
	query := fmt.Sprintf(`
		SELECT if(count() = 0, -1, if(countIf(broken) = 0, max(last), minIf(before, broken))) FROM (
			SELECT last, max(last) OVER (ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
				row_number() OVER (ORDER BY first, last) > 1 AND first > before + 1 AS broken
			FROM (
				SELECT first_offset AS first, last_offset AS last FROM %[1]s.batches WHERE source = $1 AND topic = $2 AND partition = $3
				UNION ALL
				SELECT first_offset, last_offset FROM %[1]s.notices
				WHERE kind = '%[2]s' AND source = $1 AND topic = $2 AND partition = $3
			)
		)`, s.opt.Database, NoticeGap)
	var last int64
	if err := s.conn.QueryRow(ctx, query, source, topic, partition).Scan(&last); err != nil {
		return 0, fmt.Errorf("last receipt of %s[%d]: %w", topic, partition, err)
	}
	return last, nil
}

// Receipt is one stored batch that counts.
type Receipt struct {
	Source      string    `ch:"source"`
	Topic       string    `ch:"topic"`
	Partition   int32     `ch:"partition"`
	First       int64     `ch:"first_offset"`
	Last        int64     `ch:"last_offset"`
	Attempt     uint16    `ch:"attempt"`
	Bundle      string    `ch:"bundle"`
	Events      uint32    `ch:"events"`
	Raw         uint32    `ch:"raw"`
	Alerts      uint32    `ch:"alerts"`
	DeadLetters uint32    `ch:"dead_letters"`
	Control     uint32    `ch:"control"`
	Compacted   uint32    `ch:"compacted"`
	LedgerIndex uint64    `ch:"ledger_index"`
	Batch       string    `ch:"batch"` // id, hexadecimal
	BatchTime   time.Time `ch:"batch_time"`
}

const receiptColumns = "source, topic, partition, first_offset, last_offset, attempt, bundle, events, raw, alerts, dead_letters, " +
	"control, compacted, ledger_index, batch_time, lower(hex(batch_id)) AS batch"

// MaxReceipts is how many receipts one call returns at most.
const MaxReceipts = 10_000

// Receipts lists the receipts of a partition that reach past offset from, by offset, at most 10,000: ask again from the
// last one's end.
func (s *Store) Receipts(ctx context.Context, source, topic string, partition int32, from int64) ([]Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	var out []Receipt
	query := fmt.Sprintf("SELECT %s FROM %s.batches WHERE source = $1 AND topic = $2 AND partition = $3 AND last_offset >= $4 "+
		"ORDER BY first_offset LIMIT %d", receiptColumns, s.opt.Database, MaxReceipts)
	if err := s.conn.Select(ctx, &out, query, source, topic, partition, from); err != nil {
		return nil, fmt.Errorf("receipts of %s[%d] from offset %d: %w", topic, partition, from, err)
	}
	return out, nil
}

// NewestBatch is the latest batch time of a stored batch, false where there is none.
func (s *Store) NewestBatch(ctx context.Context) (time.Time, bool, error) {
	var rows []struct {
		Time  time.Time `ch:"time"`
		Count uint64    `ch:"n"`
	}
	err := s.ask(ctx, &rows, "SELECT max(batch_time) AS time, count() AS n FROM %s.batches")
	if err != nil || rows[0].Count == 0 {
		return time.Time{}, false, err
	}
	return rows[0].Time, true, nil
}
