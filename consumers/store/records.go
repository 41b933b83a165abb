package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// The kinds of notices, beside those of redrives.
const (
	NoticeGap            = "gap"             // offsets are gone
	NoticeRefusedBundle  = "refused_bundle"  // a changed bundle was not fit for use
	NoticeIdentityReused = "identity_reused" // an event id came again with other content
	NoticeMaxMatches     = "max_matches"     // an exception suppressed more than it was approved for
	NoticeSequenceGap    = "sequence_gap"    // numbers of a feed are missing
	NoticeSequenceRepeat = "sequence_repeat" // a number of a feed stands on several events
	NoticeSilentFeed     = "silent_feed"     // a feed delivered nothing for longer than it should
	NoticeBackfill       = "backfill"        // late or early events raised alerts of a rule: one for each rule and day
)

// Notice is what no single event shows.
type Notice struct {
	Kind        string
	Subject     string
	Severity    alert.Severity
	Source      string // with Topic, Partition and the offsets where the notice is about some
	Topic       string
	Partition   int32
	First, Last int64
	LedgerIndex uint64
	Time        time.Time
	// Until is the end of the stretch of time, from Time on, that the notice is about; zero where it is about offsets.
	Until time.Time
	Text  string
}

// ID identifies the notice by kind, subject and offsets or stretch of time, so that the same finding made twice is one.
func (n *Notice) ID() access.Digest {
	if !n.Until.IsZero() {
		return digestOf("bw-notice/v2", n.Kind, n.Subject, n.Source, n.Topic, n.Partition, n.First, n.Last, n.Time.UnixMilli(), n.Until.UnixMilli())
	}
	return digestOf("bw-notice/v1", n.Kind, n.Subject, n.Source, n.Topic, n.Partition, n.First, n.Last)
}

func (n *Notice) until() time.Time {
	if n.Until.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return n.Until.UTC()
}

// KnownNotices returns those of the ids that are stored.
func (s *Store) KnownNotices(ctx context.Context, ids []access.Digest) (map[access.Digest]bool, error) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = fmt.Sprintf("%x", id[:])
	}
	var rows []struct {
		ID string `ch:"id"`
	}
	if err := s.ask(ctx, &rows, "SELECT DISTINCT lower(hex(notice_id)) AS id FROM %s.notices WHERE has($1, id)", names); err != nil {
		return nil, err
	}
	stored := make(map[string]bool, len(rows))
	for _, r := range rows {
		stored[r.ID] = true
	}
	known := make(map[access.Digest]bool, len(rows))
	for i, name := range names {
		known[ids[i]] = stored[name]
	}
	return known, nil
}

// InsertNotice stores a notice once, however often it is called.
func (s *Store) InsertNotice(ctx context.Context, n Notice) error {
	id := n.ID()
	return s.insertRow(ctx, "notices", "notice_id, kind, subject, severity, source, topic, partition, first_offset, last_offset, ledger_index, time, until, why",
		fmt.Sprintf("%x", id), id[:], n.Kind, n.Subject, n.Severity.String(), n.Source, n.Topic, n.Partition, n.First, n.Last, n.LedgerIndex,
		n.Time.UTC(), n.until(), n.Text)
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

// LastBundle returns the digest of the bundle that was the last to come into force at a partition, false where none was. The
// ledger's order counts: a takeover stores the activation of an earlier bundle late.
func (s *Store) LastBundle(ctx context.Context) (string, bool, error) {
	return s.content(ctx, "SELECT bundle FROM %s.activations ORDER BY ledger_index DESC, stored_at DESC LIMIT 1")
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
