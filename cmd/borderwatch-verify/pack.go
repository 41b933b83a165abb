package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/rules/release"
)

// packFormat names the form of a pack: a zip file with pack.json and the parts of the bundles by their digests, below
// bundles and parts.
const packFormat = "borderwatch-pack/v1"

// maxPackFile bounds a file of a pack that is read.
const maxPackFile = 1 << 30

// Pack is evidence that stands alone: with the log's public key anyone can check it without a server.
type Pack struct {
	Format     string          `json:"format"`
	Question   string          `json:"question"`
	Made       time.Time       `json:"made"`
	LogKey     string          `json:"log_key"`
	Checkpoint string          `json:"checkpoint"` // as of which the question is answered
	Feeds      []pipeline.Feed `json:"feeds"`      // which adapter read which topic
	Limits     decode.Limits   `json:"limits"`
	Batches    []packBatch     `json:"batches"`
	NotShown   []string        `json:"not_shown"`

	files    map[string][]byte
	layouts  layouts
	compiled map[string]*bundle.Bundle // by digest
}

// packBatch is a recorded batch and the rows of it that answer the question.
type packBatch struct {
	Proved
	Rows []packRow `json:"rows"` // in the order of offsets: record, event or dead letter, alerts
}

// packRow is a row with the proof that the batch's leaf counts it.
type packRow struct {
	storedRow
	Position int64            `json:"position"` // among the rows of the batch in the table
	Proof    tlog.RecordProof `json:"proof"`
}

// chosen are the offsets that answer a question, by the leaf that records them.
type chosen struct {
	leaf    ledger.Entry
	offsets []int64
}

// gather answers a question about alerts with their rows and proofs, after the batches were checked.
func (v *verification) gather(ctx context.Context, question, condition string, args ...any) (*Pack, error) {
	v.judging = true
	if err := v.connect(ctx); err != nil {
		return nil, err
	}
	choice, err := v.choose(ctx, condition, args...)
	if err != nil {
		return nil, err
	}
	p := &Pack{Format: packFormat, Question: question, Made: v.now().UTC().Truncate(time.Second), LogKey: v.log.trust.key,
		Checkpoint: string(v.log.head.text), Feeds: v.feeds, Limits: v.limits, files: map[string][]byte{},
		NotShown: []string{"That no other alert answers the question: the pack proves what is in it, and not what is left out.",
			"That the log was the same for everybody: compare the checkpoint with one that another keeps."}}
	c, err := v.newChecker(ctx)
	if err != nil {
		return nil, err
	}
	defer c.client.Close()
	for _, x := range choice {
		if err := c.check(ctx, &stretch{leaves: []ledger.Entry{x.leaf}}); err != nil {
			return nil, err
		}
		b, err := c.pack(ctx, x)
		if err != nil {
			return nil, err
		}
		p.Batches = append(p.Batches, *b)
		if err := v.packBundle(ctx, p, x.leaf.Leaf.(ledger.Batch).Bundle); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// choose finds the offsets of alerts and the leaves that record them.
func (v *verification) choose(ctx context.Context, condition string, args ...any) ([]chosen, error) {
	var rows []struct {
		Source    string `ch:"source"`
		Topic     string `ch:"topic"`
		Partition int32  `ch:"partition"`
		Offset    int64  `ch:"offset"`
	}
	err := v.conn.Select(ctx, &rows, "SELECT DISTINCT source, topic, partition, offset FROM "+v.db+".alert_rows WHERE "+condition+" ORDER BY ALL", args...)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("no such alert is stored")
	}
	var out []chosen
	for _, r := range rows {
		at := ledger.Span{Key: ledger.Key{Source: r.Source, Topic: r.Topic, Partition: r.Partition}, First: r.Offset, Last: r.Offset}
		entry, ok := v.leafOf(at)
		if !ok {
			v.unrecorded("alert_rows", at)
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].leaf.Index == entry.Index {
			out[last].offsets = append(out[last].offsets, r.Offset)
		} else {
			out = append(out, chosen{entry, []int64{r.Offset}})
		}
	}
	return out, nil
}

// leafOf is the batch that records an offset.
func (v *verification) leafOf(at ledger.Span) (ledger.Entry, bool) {
	c := v.chains[at.Key]
	if c == nil {
		return ledger.Entry{}, false
	}
	i, ok := slices.BinarySearchFunc(c.leaves, at.First, func(e ledger.Entry, offset int64) int {
		span := e.Leaf.(ledger.Ranged).Span()
		switch {
		case span.Last < offset:
			return -1
		case span.First > offset:
			return 1
		}
		return 0
	})
	if !ok {
		return ledger.Entry{}, false
	}
	_, batch := c.leaves[i].Leaf.(ledger.Batch)
	return c.leaves[i], batch
}

// pack takes the rows at some offsets of the batch that was checked last.
func (c *checker) pack(ctx context.Context, x chosen) (*packBatch, error) {
	proved, err := c.v.log.proved(x.leaf)
	if err != nil {
		return nil, err
	}
	b := &packBatch{Proved: proved}
	for _, table := range []string{"raw_rows", "event_rows", "dead_letter_rows", "alert_rows"} {
		t := c.tables[table]
		proofs, err := newProver(t.hashes)
		if err != nil {
			return nil, err
		}
		c.rewind()
		for _, offset := range x.offsets {
			if err := c.packRows(ctx, b, table, offset, proofs); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(b.Rows, func(x, y packRow) int { return cmp.Compare(x.Offset, y.Offset) })
	return b, nil
}

func (c *checker) packRows(ctx context.Context, b *packBatch, table string, offset int64, proofs *prover) error {
	t, span := c.tables[table], c.batches[0].Span()
	span.First, span.Last = offset, offset
	position, _ := slices.BinarySearch(t.offsets, offset)
	salt := c.saltAt(offset)
	var failed error
	err := c.readers[table].read(ctx, span, func(r *row) {
		if !bytes.Equal(r.batch, c.ids[0][:]) {
			return
		}
		proof, err := proofs.prove(int64(position))
		failed = errors.Join(failed, err)
		b.Rows = append(b.Rows, packRow{storedRow{Table: table, Offset: offset, Salt: bytes.Clone(salt), Canonical: bytes.Clone(r.canonical)}, int64(position), proof})
		position++
	})
	return errors.Join(err, failed)
}

// prover makes inclusion proofs for the rows of one table of one batch.
type prover struct{ tree merkle }

func newProver(leaves []hash) (*prover, error) {
	p := &prover{}
	for _, leaf := range leaves {
		stored, err := tlog.StoredHashesForRecordHash(p.tree.size, leaf, &p.tree)
		if err != nil {
			return nil, err
		}
		p.tree.tail = append(p.tree.tail, stored...)
		p.tree.size++
	}
	return p, nil
}

func (p *prover) prove(n int64) (tlog.RecordProof, error) {
	return tlog.ProveRecord(p.tree.size, n, &p.tree)
}

// packBundle adds a bundle, but for location databases where those may not be handed on.
func (v *verification) packBundle(ctx context.Context, p *Pack, digest string) error {
	name := "bundles/" + digest
	if p.files[name] != nil {
		return nil
	}
	parts, err := bundle.FetchParts(ctx, v.store, digest)
	if err != nil {
		return err
	}
	p.files[name] = release.Manifest(parts)
	for _, part := range parts {
		if v.options.withoutGeoIP && (part.Role == release.RoleGeoIP || part.Role == release.RoleGeoIPSecond) {
			continue
		}
		p.files["parts/"+part.Digest] = part.Data
	}
	return nil
}

// write writes the pack as a zip file.
func (p *Pack) write(w io.Writer) error {
	z := zip.NewWriter(w)
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return err
	}
	p.files["pack.json"] = text
	for _, name := range sortedKeys(p.files) {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: p.Made})
		if err != nil {
			return err
		}
		if _, err := f.Write(p.files[name]); err != nil {
			return err
		}
	}
	return z.Close()
}

// readPack reads a pack and checks nothing but its form.
func readPack(file string) (*Pack, error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	defer z.Close()
	p := &Pack{files: map[string][]byte{}}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := readLimited(r, f.Name, maxPackFile)
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		p.files[f.Name] = data
	}
	if err := json.Unmarshal(p.files["pack.json"], p); err != nil {
		return nil, fmt.Errorf("%s: pack.json: %w", file, err)
	}
	if p.Format != packFormat {
		return nil, fmt.Errorf("%s: it is of the format %q, not %s", file, p.Format, packFormat)
	}
	return p, nil
}

// export writes the pack that answers the question of the flags.
func (v *verification) export(ctx context.Context) error {
	o := v.options
	conditions, args := []string{"1"}, []any{}
	add := func(condition string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	if o.alert != "" {
		add("lower(hex(alert_id)) = lower($%d)", o.alert)
	}
	if !o.from.IsZero() {
		add("time >= $%d", o.from.UTC())
	}
	if !o.to.IsZero() {
		add("time < $%d", o.to.UTC())
	}
	if o.where != "" {
		conditions = append(conditions, "("+o.where+")")
	}
	question := fmt.Sprintf("alerts; id %q, from %s, to %s, where %q", o.alert, o.from.Format(time.RFC3339), o.to.Format(time.RFC3339), o.where)
	p, err := v.gather(ctx, question, strings.Join(conditions, " AND "), args...)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(o.out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(p.write(f), f.Close()); err != nil {
		return err
	}
	v.report.Seal, err = seal(o.out)
	return err
}
