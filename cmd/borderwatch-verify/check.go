package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/rules/release"
)

// checkPack is the command check: a pack, a key, and nothing else.
func checkPack(o *options, stdout, stderr io.Writer) int {
	report := &Report{Command: "check", Findings: []Finding{}}
	p, err := readPack(o.argument)
	if err == nil {
		err = p.check(o, report)
	}
	if err == nil && !o.json {
		fmt.Fprintf(stdout, "question: %s\n", p.Question)
		report.Limits = append(report.Limits, p.NotShown...)
	}
	err = errors.Join(err, report.write(stdout, o.json))
	return outcome(report, err, stderr)
}

// check compares everything in the pack with the log's key and with itself.
func (p *Pack) check(o *options, report *Report) error {
	trust, err := openTrust(o.key, o.witness, o.quorum, o.maxCosignatureAge)
	if err != nil {
		return err
	}
	head, err := trust.open([]byte(p.Checkpoint))
	if err != nil {
		report.add(Finding{Kind: "signature", Where: "checkpoint", Text: err.Error()})
		return nil
	}
	report.Checkpoint, report.LogSize = p.Checkpoint, head.size
	p.layouts, p.compiled = newLayouts(), map[string]*bundle.Bundle{}
	for i := range p.Batches {
		if err := p.checkBatch(&p.Batches[i], head, o, report); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pack) checkBatch(b *packBatch, head *checkpoint, o *options, report *Report) error {
	where := fmt.Sprintf("log index %d", b.Index)
	if err := tlog.CheckRecord(b.Proof, head.size, head.root, int64(b.Index), tlog.RecordHash([]byte(b.Leaf))); err != nil {
		report.add(Finding{Kind: "leaf", Where: where, Text: fmt.Sprintf("the leaf is not in the signed log: %v", err)})
		return nil
	}
	leaf, err := ledger.ParseLeaf([]byte(b.Leaf))
	batch, ok := leaf.(ledger.Batch)
	if err != nil || !ok {
		report.add(Finding{Kind: "leaf", Where: where, Text: fmt.Sprintf("it is no batch: %v", err)})
		return nil
	}
	for i := range b.Rows {
		r := &b.Rows[i]
		if columns := p.layouts.describe(r.Table, r.Canonical); len(columns) == 0 || len(columns) != len(p.layouts[r.Table]) || columns[0].Value != fmt.Sprint(r.Offset) {
			report.add(Finding{Kind: "row", Where: where, Text: fmt.Sprintf("row %d is not a row of %q at offset %d", i, r.Table, r.Offset)})
			return nil
		}
		root, n := want(&batch, r.Table)
		salted, _ := leafOf(nil, r.Salt, r.Canonical)
		if err := tlog.CheckRecord(r.Proof, n, root, r.Position, salted); err != nil {
			at := batch.Span()
			at.First, at.Last = r.Offset, r.Offset
			report.find(kinds[r.Table], at, nil, "the row is not one that the leaf counts: %v", err)
		}
	}
	report.count(1, 0, 0, 0, 0)
	return p.rejudge(b, batch, o, report)
}

// rejudge judges the records of a batch again and compares what they come to.
func (p *Pack) rejudge(b *packBatch, batch ledger.Batch, o *options, report *Report) error {
	compiled, err := p.bundle(batch.Bundle, o.geoip)
	if errors.Is(err, errLeftOut) {
		report.limit("The verdicts by bundle %.12s… are not judged again: %v.", batch.Bundle, err)
		return nil
	}
	if err != nil {
		report.find("bundle", batch.Span(), nil, "%v", err)
		return nil
	}
	var made []storedRow
	var offset int64
	replay, err := pipeline.NewReplay(p.Feeds, p.Limits, batch.Span().Key, func(table string, canonical []byte) {
		made = append(made, storedRow{Table: table, Offset: offset, Canonical: bytes.Clone(canonical)})
	})
	if err != nil {
		return err
	}
	replay.Begin(batch, compiled)
	reader, prefix := recordReader{}, len("bw-row/v1\x00raw_rows\x00")
	for _, r := range b.Rows {
		if r.Table == "raw_rows" {
			offset = r.Offset
			replay.Add(reader.read(r.Canonical[prefix:]))
		}
	}
	n := replay.End()
	report.count(0, n.Events+n.Quarantined, n.Events, n.Alerts, n.Events+n.Quarantined)
	p.compare(b, batch, made, report)
	return nil
}

// compare finds rows that are in the pack or made again, and not both.
func (p *Pack) compare(b *packBatch, batch ledger.Batch, made []storedRow, report *Report) {
	is := func(x storedRow) func(storedRow) bool {
		return func(y storedRow) bool {
			return x.Table == y.Table && x.Offset == y.Offset && bytes.Equal(x.Canonical, y.Canonical)
		}
	}
	differ := func(x storedRow, text string) {
		at := batch.Span()
		at.First, at.Last = x.Offset, x.Offset
		report.find(kinds[x.Table]+"_differ", at, nil, "%s", text)
	}
	for _, r := range b.Rows {
		if r.Table == "raw_rows" {
			continue
		}
		i := slices.IndexFunc(made, is(r.storedRow))
		if i < 0 {
			differ(r.storedRow, "judging the record again does not come to this row of "+r.Table)
			continue
		}
		made = slices.Delete(made, i, i+1)
	}
	for _, m := range made {
		differ(m, "judging the record again comes to a row of "+m.Table+" that is not in the pack")
	}
}

var errLeftOut = errors.New("left out of the pack")

// bundle puts a bundle together from the parts in the pack, each checked against its digest. A location database that was
// left out comes from a file.
func (p *Pack) bundle(digest, geoip string) (*bundle.Bundle, error) {
	if b := p.compiled[digest]; b != nil {
		return b, nil
	}
	parts, err := release.ParseManifest(p.files["bundles/"+digest])
	if err != nil {
		return nil, err
	}
	if release.Digest(parts) != digest {
		return nil, fmt.Errorf("the manifest is not that of bundle %s", digest)
	}
	for i := range parts {
		part := &parts[i]
		data, ok := p.files["parts/"+part.Digest]
		if !ok && strings.HasPrefix(part.Role, release.RoleGeoIP) && geoip != "" {
			data, err = os.ReadFile(geoip)
			ok = err == nil
		}
		if !ok {
			return nil, fmt.Errorf("%w: %s, sha256:%s", errLeftOut, part.Path, part.Digest)
		}
		if release.NewPart(part.Role, part.Path, data).Digest != part.Digest {
			return nil, fmt.Errorf("%s does not have the bytes that the bundle names", part.Path)
		}
		part.Data = data
	}
	b, err := bundle.Compile(parts)
	if err == nil {
		p.compiled[digest] = b
	}
	return b, err
}

// certificate is the command alert: what made an alert, checked and written for people.
func (v *verification) certificate(ctx context.Context, stdout io.Writer) error {
	id := strings.ToLower(v.options.argument)
	p, err := v.gather(ctx, "alert "+id, "lower(hex(alert_id)) = $1", id)
	if err != nil {
		return err
	}
	if err := p.check(v.options, v.report); err != nil {
		return err
	}
	if v.options.json {
		text, err := json.MarshalIndent(p, "", " ")
		if err == nil {
			_, err = fmt.Fprintf(stdout, "%s\n", text)
		}
		return err
	}
	p.print(stdout, len(v.report.Findings) == 0)
	return nil
}

func (p *Pack) print(w io.Writer, good bool) {
	fmt.Fprintf(w, "%s\n\n", p.Question)
	for _, b := range p.Batches {
		fmt.Fprintf(w, "recorded at index %d of the log, proved by %d hashes under the checkpoint\n\n%s\n%s\n", b.Index, len(b.Proof), indent(p.Checkpoint), indent(b.Leaf))
		for _, r := range b.Rows {
			h, _ := leafOf(nil, r.Salt, r.Canonical)
			fmt.Fprintf(w, "%s at offset %d: row %d of the batch, hash %x, proved by %d hashes\n", r.Table, r.Offset, r.Position, h[:], len(r.Proof))
			for _, c := range p.layouts.describe(r.Table, r.Canonical) {
				if c.Value != "" && c.Value != "unknown" {
					fmt.Fprintf(w, "  %-24s %s\n", c.Name, c.Value)
				}
			}
			fmt.Fprintln(w)
		}
	}
	if good {
		fmt.Fprintln(w, "judged again from the record by the bundle that the leaf names: the same rows, byte for byte")
	}
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// seal is the digest of a file, which its maker can publish.
func seal(file string) (string, error) {
	data, err := os.ReadFile(file)
	return fmt.Sprintf("%x", sha256.Sum256(data)), err
}
