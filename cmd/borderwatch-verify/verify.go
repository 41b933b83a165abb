package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/bundle"
	"borderwatch/consumers/decode"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/pipeline"
	"borderwatch/consumers/store"
)

// verification is one run over one database and one log.
type verification struct {
	conn    driver.Conn
	store   *store.Store
	readers map[string]*tableReader
	close   func() error // of the readers' connection
	db      string
	feeds   []pipeline.Feed
	limits  decode.Limits
	report  *Report
	bundles map[string]*bundle.Bundle
}

// verify fills the report. Its error says why the check could not be completed.
func verify(ctx context.Context, cfg config.Config, ledgerDir, keyFile string, report *Report) error {
	entries, err := readLog(ledgerDir, keyFile, report)
	if err != nil || len(report.Findings) > 0 {
		return err
	}
	v := &verification{db: cfg.ClickHouse.Database, report: report, bundles: map[string]*bundle.Bundle{},
		limits: decode.Limits{MaxBytes: int(cfg.Limits.MessageBytes), MaxDepth: cfg.Limits.Depth}}
	for _, f := range cfg.Sources() {
		v.feeds = append(v.feeds, pipeline.Feed{Name: f.Name, Adapter: f.Adapter, Scope: f.IdentityScope, Topic: f.Topic,
			HeaderKey: f.Header.Key, HeaderValue: f.Header.Value})
	}
	if err := v.connect(ctx, cfg.ClickHouse); err != nil {
		return err
	}
	defer v.conn.Close()
	defer v.store.Close()
	defer v.close()
	partitions := v.contiguous(entries)
	report.Partitions = len(partitions)
	if err := v.receiptsWithoutLeaf(ctx, partitions); err != nil {
		return err
	}
	for _, key := range sortedKeys(partitions) {
		if err := v.partition(ctx, partitions[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func (v *verification) connect(ctx context.Context, c config.ClickHouse) (err error) {
	o := store.Options{Hosts: c.Hosts, Database: c.Database, User: c.Username, Password: c.Password.Reveal(), Replicated: c.Cluster != ""}
	if c.TLS.Enabled {
		o.TLS = &tls.Config{ServerName: c.TLS.ServerName, MinVersion: tls.VersionTLS12}
		if c.TLS.CAFile != "" {
			pem, err := os.ReadFile(c.TLS.CAFile)
			if err != nil {
				return err
			}
			o.TLS.RootCAs = x509.NewCertPool()
			o.TLS.RootCAs.AppendCertsFromPEM(pem)
		}
	}
	if v.conn, err = store.Dial(o); err != nil {
		return err
	}
	if v.store, err = store.New(o); err != nil {
		return err
	}
	return v.openReaders(ctx, o)
}

// openReaders gives every table a connection: they are read one after the other, and a connection serves one query.
func (v *verification) openReaders(ctx context.Context, o store.Options) error {
	client, err := ch.Dial(ctx, ch.Options{Address: o.Hosts[0], User: o.User, Password: o.Password, TLS: o.TLS, ClientName: "borderwatch-verify",
		Compression: ch.CompressionLZ4})
	if err != nil {
		return err
	}
	v.close = client.Close
	v.readers = map[string]*tableReader{}
	for _, table := range tables {
		if v.readers[table], err = newTableReader(client, v.db, table); err != nil {
			return err
		}
	}
	return nil
}

// contiguous sorts the leaves by partition and finds holes, overlaps and wrong predecessors.
func (v *verification) contiguous(entries []ledger.Entry) map[ledger.Key][]ledger.Entry {
	partitions := map[ledger.Key][]ledger.Entry{}
	for _, entry := range entries {
		ranged, ok := entry.Leaf.(ledger.Ranged)
		if !ok {
			continue
		}
		span := ranged.Span()
		if before := partitions[span.Key]; len(before) > 0 {
			last := before[len(before)-1]
			if end := last.Leaf.(ledger.Ranged).Span().Last; span.First != end+1 || span.Prev != int64(last.Index) {
				v.report.find("range", place(span), "it follows index %d, but the leaf before it is index %d and ends at %d", span.Prev, last.Index, end)
			}
		} else if span.Prev != -1 {
			v.report.find("range", place(span), "the first leaf of the partition says that it follows index %d", span.Prev)
		}
		partitions[span.Key] = append(partitions[span.Key], entry)
	}
	return partitions
}

// receiptsWithoutLeaf finds batches in the database that the log does not know. Receipts newer than the checkpoint are
// left to the next run.
func (v *verification) receiptsWithoutLeaf(ctx context.Context, partitions map[ledger.Key][]ledger.Entry) error {
	var receipts []struct {
		Source    string `ch:"source"`
		Topic     string `ch:"topic"`
		Partition int32  `ch:"partition"`
		First     int64  `ch:"first_offset"`
		Last      int64  `ch:"last_offset"`
		Index     uint64 `ch:"ledger_index"`
	}
	query := "SELECT source, topic, partition, first_offset, last_offset, ledger_index FROM " + v.db + ".receipts ORDER BY ALL"
	if err := v.conn.Select(ctx, &receipts, query); err != nil {
		return err
	}
	for _, r := range receipts {
		if r.Index >= v.report.LogSize {
			continue
		}
		key := ledger.Key{Source: r.Source, Topic: r.Topic, Partition: r.Partition}
		known := slices.ContainsFunc(partitions[key], func(e ledger.Entry) bool {
			span := e.Leaf.(ledger.Ranged).Span()
			return e.Index == r.Index && span.First == r.First && span.Last == r.Last
		})
		if !known {
			v.report.find("receipt_without_leaf", place(ledger.Span{Key: key, First: r.First, Last: r.Last}), "the log's index %d records no such batch", r.Index)
		}
	}
	return nil
}

// partition checks every leaf of one partition against what is stored.
func (v *verification) partition(ctx context.Context, leaves []ledger.Entry) error {
	for _, entry := range leaves {
		switch leaf := entry.Leaf.(type) {
		case ledger.Gap:
			v.report.Gaps++
		case ledger.Batch:
			v.report.Batches++
			if err := v.batch(ctx, leaf); err != nil {
				return err
			}
		}
	}
	return nil
}

// bundle fetches a bundle from the database and checks it against its digest.
func (v *verification) bundle(ctx context.Context, digest string) (*bundle.Bundle, error) {
	if b := v.bundles[digest]; b != nil {
		return b, nil
	}
	b, err := bundle.Fetch(ctx, v.store, digest)
	if err == nil {
		v.bundles[digest] = b
	}
	return b, err
}

func place(s ledger.Span) string { return fmt.Sprintf("%s offsets %d to %d", s.Key, s.First, s.Last) }

func sortedKeys(partitions map[ledger.Key][]ledger.Entry) []ledger.Key {
	keys := make([]ledger.Key, 0, len(partitions))
	for key := range partitions {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b ledger.Key) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return keys
}
