package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// NoticeGap is the kind of notice that says that offsets are gone.
const NoticeGap = "gap"

// Notice is what no single event shows.
type Notice struct {
	Kind        string // gap, max_matches, identity_reused, silent_feed, sequence, refused_bundle, …
	Subject     string
	Severity    alert.Severity
	Source      string // with Topic, Partition and the offsets where the notice is about some
	Topic       string
	Partition   int32
	First, Last int64
	LedgerIndex uint64
	Time        time.Time
	Text        string
}

// ID identifies the notice by kind, subject and offsets, so that the same finding made twice is one.
func (n *Notice) ID() access.Digest {
	return digestOf("bw-notice/v1", n.Kind, n.Subject, n.Source, n.Topic, n.Partition, n.First, n.Last)
}

// InsertNotice stores a notice once, however often it is called.
func (s *Store) InsertNotice(ctx context.Context, n Notice) error {
	id := n.ID()
	return s.insertRow(ctx, "notices", "notice_id, kind, subject, severity, source, topic, partition, first_offset, last_offset, ledger_index, time, why",
		fmt.Sprintf("%x", id), id[:], n.Kind, n.Subject, n.Severity.String(), n.Source, n.Topic, n.Partition, n.First, n.Last, n.LedgerIndex, n.Time.UTC(), n.Text)
}

// Activation says that a partition was judged by a bundle from an offset on.
type Activation struct {
	Source, Topic string
	Partition     int32
	From          int64
	Bundle        string
	LedgerIndex   uint64
}

// InsertActivation stores an activation once.
func (s *Store) InsertActivation(ctx context.Context, a Activation) error {
	name := fmt.Sprintf("%s/%s/%d/%d/%s", a.Source, a.Topic, a.Partition, a.From, a.Bundle)
	return s.insertRow(ctx, "activations", "source, topic, partition, from_offset, bundle, ledger_index", name,
		a.Source, a.Topic, a.Partition, a.From, a.Bundle, a.LedgerIndex)
}

// LastBundle returns the digest of the bundle that was the last to come into force at a partition, false where none was.
func (s *Store) LastBundle(ctx context.Context) (string, bool, error) {
	return s.content(ctx, "SELECT bundle FROM %s.activations ORDER BY stored_at DESC, ledger_index DESC LIMIT 1")
}

// InsertBundle stores a bundle: its parts by digest, then its manifest, so that a manifest is never there without its
// parts. What is stored already is not stored again.
func (s *Store) InsertBundle(ctx context.Context, digest, manifest string, parts map[string][]byte) error {
	for part, content := range parts {
		if err := s.insertRow(ctx, "bundle_parts", "digest, content", part, part, content); err != nil {
			return err
		}
	}
	return s.insertRow(ctx, "bundles", "digest, manifest", digest, digest, manifest)
}

// BundleManifest returns the manifest of a bundle, false where it is not stored.
func (s *Store) BundleManifest(ctx context.Context, digest string) (string, bool, error) {
	return s.content(ctx, "SELECT manifest FROM %s.bundles WHERE digest = $1 LIMIT 1", digest)
}

// BundlePart returns the bytes of a part of a bundle, false where it is not stored.
func (s *Store) BundlePart(ctx context.Context, digest string) ([]byte, bool, error) {
	content, ok, err := s.content(ctx, "SELECT content FROM %s.bundle_parts WHERE digest = $1 LIMIT 1", digest)
	return []byte(content), ok, err
}

// content returns the one value that a question about bundles has for an answer, false where it has none.
func (s *Store) content(ctx context.Context, query string, args ...any) (string, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.QueryTimeout)
	defer cancel()
	var rows []string
	result, err := s.conn.Query(ctx, fmt.Sprintf(query, s.opt.Database), args...)
	if err != nil {
		return "", false, fmt.Errorf("bundles: %w", err)
	}
	defer result.Close()
	for result.Next() {
		var v string
		if err := result.Scan(&v); err != nil {
			return "", false, fmt.Errorf("bundles: %w", err)
		}
		rows = append(rows, v)
	}
	if err := result.Err(); err != nil || len(rows) == 0 {
		return "", false, err
	}
	return rows[0], true, nil
}

// insertRow stores one row under the token bw1/<table>/<name>. These rows are few, so they take clickhouse-go's plain way
// and its errors are the caller's to retry.
func (s *Store) insertRow(ctx context.Context, table, columns, name string, values ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.InsertTimeout)
	defer cancel()
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(s.rowSettings("bw1/"+table+"/"+name)))
	batch, err := s.conn.PrepareBatch(ctx, fmt.Sprintf("INSERT INTO %s.%s (%s)", s.opt.Database, table, columns))
	if err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	if err := batch.Append(values...); err != nil {
		_ = batch.Abort()
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}

func (s *Store) rowSettings(token string) clickhouse.Settings {
	settings := clickhouse.Settings{
		"insert_deduplication_token": token, "insert_deduplicate": 1, "async_insert": 0, "optimize_on_insert": 0,
	}
	if s.opt.Replicated {
		settings["insert_quorum"] = "auto"
	}
	return settings
}
