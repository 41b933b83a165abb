package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Tombstone stands for a row that was erased.
type Tombstone struct {
	RowLeaf
	LedgerIndex uint64 // of the erasure in the evidence log
	Ticket      string
	Ground      string
	Approvers   []string
}

func compareLeaves(a, b RowLeaf) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Ordinal, b.Ordinal))
}

// TombstonesDigest is what the leaf of an erasure says of its tombstones: SHA-256 over a line "table offset ordinal leaf"
// for each, in the order of MergeLeaves.
func TombstonesDigest(leaves []RowLeaf) [32]byte {
	h := sha256.New()
	for _, l := range leaves {
		fmt.Fprintf(h, "%s %d %d %x\n", l.Table, l.Offset, l.Ordinal, l.Leaf)
	}
	return [32]byte(h.Sum(nil))
}

// Tombstones lists those of a batch at the offsets of a range, in the order of MergeLeaves, each once.
func (s *Store) Tombstones(ctx context.Context, r Range, batch string) ([]Tombstone, error) {
	var rows []struct {
		Table     string `ch:"row_table"`
		Offset    int64  `ch:"offset"`
		Ordinal   uint32 `ch:"ordinal"`
		Leaf      string `ch:"leaf"`
		Index     uint64 `ch:"ledger_index"`
		Ticket    string `ch:"ticket"`
		Ground    string `ch:"ground"`
		Approvers string `ch:"approvers"`
	}
	err := s.ask(ctx, &rows, "SELECT DISTINCT row_table, offset, ordinal, leaf, ledger_index, ticket, ground, approvers FROM %s.tombstones "+
		"WHERE source = $1 AND topic = $2 AND partition = $3 AND offset BETWEEN $4 AND $5 AND batch_id = CAST(unhex($6), 'FixedString(16)') "+
		"ORDER BY row_table, offset, ordinal, ledger_index", r.Source, r.Topic, r.Partition, r.First, r.Last, batch)
	if err != nil {
		return nil, fmt.Errorf("tombstones: %w", err)
	}
	out := make([]Tombstone, 0, len(rows))
	for _, row := range rows {
		t := Tombstone{RowLeaf: RowLeaf{Table: row.Table, Offset: row.Offset, Ordinal: row.Ordinal}, LedgerIndex: row.Index,
			Ticket: row.Ticket, Ground: row.Ground, Approvers: strings.Fields(row.Approvers)}
		if copy(t.Leaf[:], row.Leaf) != len(t.Leaf) {
			return nil, fmt.Errorf("%w: a tombstone at offset %d has no leaf", ErrRowsDiffer, row.Offset)
		}
		out = append(out, t)
	}
	return out, nil
}

// InsertTombstones stores the tombstones of rows of one batch, all in one block, once for each erasure.
func (s *Store) InsertTombstones(ctx context.Context, r Receipt, tombstones []Tombstone) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.InsertTimeout)
	defer cancel()
	token := fmt.Sprintf("bw1/tombstones/%s/%d", r.Batch, tombstones[0].LedgerIndex)
	batch, err := s.conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(s.rowSettings(token))),
		fmt.Sprintf("INSERT INTO %s.tombstones (source, topic, partition, offset, row_table, ordinal, batch_id, batch_time, leaf, ticket, ground, approvers, ledger_index)", s.opt.Database))
	if err != nil {
		return fmt.Errorf("insert tombstones: %w", err)
	}
	id, err := hex.DecodeString(r.Batch)
	if err != nil {
		return err
	}
	for _, t := range tombstones {
		err := batch.Append(r.Source, r.Topic, r.Partition, t.Offset, t.Table, t.Ordinal, id, r.BatchTime, t.Leaf[:], t.Ticket, t.Ground,
			strings.Join(t.Approvers, " "), t.LedgerIndex)
		if err != nil {
			_ = batch.Abort()
			return fmt.Errorf("insert tombstones: %w", err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert tombstones: %w", err)
	}
	return nil
}

// eraseTimeout is how long the parts of a month may take to be written anew.
const eraseTimeout = time.Hour

// EraseRows deletes everything at these offsets, whichever batch wrote it, and returns when no part has it any more but
// those that ClickHouse keeps for some minutes after a mutation (old_parts_lifetime). The last table is that of the salts.
func (s *Store) EraseRows(ctx context.Context, r Range, offsets []int64) error {
	ctx, cancel := context.WithTimeout(ctx, eraseTimeout)
	defer cancel()
	for _, table := range []string{"alert_rows", "raw_rows", "dead_letter_rows", "event_rows"} {
		query := fmt.Sprintf("ALTER TABLE %s.%s DELETE WHERE source = $1 AND topic = $2 AND partition = $3 AND offset IN ($4) SETTINGS mutations_sync = 2",
			s.opt.Database, table)
		if err := s.conn.Exec(ctx, query, r.Source, r.Topic, r.Partition, offsets); err != nil {
			return fmt.Errorf("delete from %s: %w", table, err)
		}
		var left []struct {
			N uint64 `ch:"n"`
		}
		err := s.ask(ctx, &left, "SELECT count() AS n FROM %s."+table+" WHERE source = $1 AND topic = $2 AND partition = $3 AND offset IN ($4)",
			r.Source, r.Topic, r.Partition, offsets)
		if err != nil {
			return err
		}
		if left[0].N > 0 {
			return fmt.Errorf("%s still has %d of the rows", table, left[0].N)
		}
	}
	return nil
}

// Erasable is what a hold is compared with.
type Erasable struct {
	Offset  int64    `ch:"offset"`
	EventID string   `ch:"event_id"`
	Actor   string   `ch:"actor_id"`
	Dataset string   `ch:"dataset"`
	Classes []string `ch:"classes"`
	Copies  []string `ch:"copies"` // other places of the same event, topic/partition/offset
}

// Erasable lists the events at offsets. One that could not be read as an event is not among them.
func (s *Store) Erasable(ctx context.Context, r Range, offsets []int64) (out []Erasable, err error) {
	err = s.ask(ctx, &out, `SELECT e.offset AS offset, e.event_id AS event_id, any(e.actor_id) AS actor_id, any(e.dataset) AS dataset,
			any(splitByChar(',', toString(e.classes))) AS classes,
			groupUniqArrayIf(concat(c.topic, '/', toString(c.partition), '/', toString(c.offset)), c.topic != '' AND (c.source, c.topic, c.partition, c.offset) != (e.source, e.topic, e.partition, e.offset)) AS copies
		FROM %[1]s.event_rows AS e LEFT JOIN (SELECT source, topic, partition, offset, scope, event_id FROM %[1]s.event_rows
			WHERE event_id IN (SELECT event_id FROM %[1]s.event_rows WHERE source = $1 AND topic = $2 AND partition = $3 AND offset IN ($4))) AS c
			ON c.scope = e.scope AND c.event_id = e.event_id
		WHERE e.source = $1 AND e.topic = $2 AND e.partition = $3 AND e.offset IN ($4) GROUP BY offset, event_id ORDER BY offset`,
		r.Source, r.Topic, r.Partition, offsets)
	return out, err
}

// ReceiptsOf returns the receipts that count for offsets, one for each batch, and an error that names the first offset
// without one.
func (s *Store) ReceiptsOf(ctx context.Context, r Range, offsets []int64) (out []Receipt, err error) {
	for _, offset := range offsets {
		if n := len(out); n > 0 && offset <= out[n-1].Last {
			continue
		}
		var found []Receipt
		err := s.ask(ctx, &found, "SELECT "+receiptColumns+" FROM %s.batches WHERE source = $1 AND topic = $2 AND partition = $3 "+
			"AND first_offset <= $4 AND last_offset >= $4", r.Source, r.Topic, r.Partition, offset)
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("offset %d of %s[%d] is in %d stored batches, want 1", offset, r.Topic, r.Partition, len(found))
		}
		out = append(out, found[0])
	}
	return out, nil
}

// SourceOf returns the cluster and epoch under which a place is stored: the only one, or the wanted one.
func (s *Store) SourceOf(ctx context.Context, p Place, wanted string) (string, error) {
	var rows []struct {
		Source string `ch:"source"`
	}
	err := s.ask(ctx, &rows, "SELECT DISTINCT source FROM %s.batches WHERE topic = $1 AND partition = $2 AND first_offset <= $3 AND last_offset >= $3 ORDER BY source",
		p.Topic, p.Partition, p.Offset)
	if err != nil {
		return "", err
	}
	var sources []string
	for _, row := range rows {
		if row.Source == wanted || wanted == "" && len(rows) == 1 {
			return row.Source, nil
		}
		sources = append(sources, row.Source)
	}
	return "", fmt.Errorf("%s is stored under these sources: %q; --source says which is meant", p, sources)
}
