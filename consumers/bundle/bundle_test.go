package bundle_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"borderwatch/consumers/bundle"
	"borderwatch/consumers/enrich/enrichtest"
	"borderwatch/rules/examples"
	"borderwatch/rules/packs"
)

// shipped lays out the shipped rules and the example company in a folder.
func shipped(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "packs"), packs.Files); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "company"), examples.Files); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t testing.TB, src bundle.Source) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, text string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func edit(t testing.TB, old, new string, path ...string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%v does not hold %q", path, old)
	}
	write(t, strings.Replace(string(data), old, new, 1), path...)
}

func TestDigest(t *testing.T) {
	dir, other := shipped(t), shipped(t)
	first := load(t, bundle.Source{Dir: dir})
	if again := load(t, bundle.Source{Dir: other}); again.Digest != first.Digest {
		t.Errorf("the same files in another folder: %s and %s", first.Digest, again.Digest)
	}
	parts := slices.Clone(first.Parts)
	slices.Reverse(parts)
	if b, err := bundle.Compile(parts); err != nil || b.Digest != first.Digest {
		t.Errorf("the same files in another order: %v, %v", b, err)
	}
	write(t, "hidden", dir, ".editor.swp")
	write(t, "other", dir, "notes.md")
	if b := load(t, bundle.Source{Dir: dir}); b.Digest != first.Digest {
		t.Error("files that decide nothing change the digest")
	}
	edit(t, "title:", "title: A", dir, "packs", "eu", "EU-101.yaml")
	if b := load(t, bundle.Source{Dir: dir}); b.Digest == first.Digest {
		t.Error("a changed rule keeps the digest")
	}
	geo := filepath.Join(t.TempDir(), "country.mmdb")
	write(t, string(enrichtest.Database(map[string]enrichtest.Record{"203.0.113.0/24": {}})), geo)
	if b := load(t, bundle.Source{Dir: other, GeoIP: geo}); b.Digest == first.Digest {
		t.Error("a location database keeps the digest")
	}
}

func TestRefusals(t *testing.T) {
	const rule = "packs/eu/EU-101.yaml"
	for _, test := range []struct {
		name  string
		spoil func(dir string)
		words []string
	}{
		{"a misspelt field", func(dir string) { edit(t, "data.classes:", "data.clases:", dir, rule) }, []string{rule + ":", "data.clases", "data.classes"}},
		{"a format that nobody reads", func(dir string) { write(t, "format: borderwatch/ruel/v1\nid: X\n", dir, "x.yaml") }, []string{"x.yaml:1:", "borderwatch/ruel/v1"}},
		{"no YAML", func(dir string) { write(t, "format: [\n", dir, "x.yaml") }, []string{"x.yaml"}},
		{"a test that fails", func(dir string) { edit(t, "expect: alert", "expect: none", dir, rule) }, []string{rule + ":", "expects none and got alert"}},
		{"a list that is not there", func(dir string) { os.RemoveAll(filepath.Join(dir, "company/reference/lists")) }, []string{"networks.yaml:"}},
		{"an exception without two approvers", func(dir string) {
			files, _ := filepath.Glob(filepath.Join(dir, "company/exceptions/*014*.yaml"))
			edit(t, "approved_by: [", "approved_by: [j.doe] #", files[0])
		}, []string{"exceptions/", "approve"}},
		{"no rule", func(dir string) { os.RemoveAll(filepath.Join(dir, "packs")) }, []string{"rule"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := shipped(t)
			test.spoil(dir)
			_, err := bundle.Load(bundle.Source{Dir: dir})
			if err == nil {
				t.Fatal("loaded")
			}
			for _, word := range test.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in:\n%v", word, err)
				}
			}
		})
	}
}

func TestEmptyFolderIsRefused(t *testing.T) {
	if _, err := bundle.Load(bundle.Source{Dir: t.TempDir()}); err == nil {
		t.Error("a folder without rules is a bundle")
	}
	if _, err := bundle.Load(bundle.Source{Dir: filepath.Join(t.TempDir(), "missing")}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestCorruptLocationDatabaseIsLoudAndNoReasonToStop(t *testing.T) {
	geo := filepath.Join(t.TempDir(), "country.mmdb")
	write(t, "not a database", geo)
	b := load(t, bundle.Source{Dir: shipped(t), GeoIP: geo})
	if !slices.ContainsFunc(b.Warnings, func(w string) bool { return strings.Contains(w, "country.mmdb") }) {
		t.Errorf("no warning names it: %v", b.Warnings)
	}
}

// archive keeps bundles in memory and can be spoilt.
type archive struct {
	manifests map[string]string
	parts     map[string][]byte
	fail      error
}

func newArchive() *archive {
	return &archive{manifests: map[string]string{}, parts: map[string][]byte{}}
}

func (a *archive) InsertBundle(_ context.Context, digest, manifest string, parts map[string][]byte) error {
	if a.fail != nil {
		return a.fail
	}
	a.manifests[digest] = manifest
	maps.Copy(a.parts, parts)
	return nil
}

func (a *archive) BundleManifest(_ context.Context, digest string) (string, bool, error) {
	m, ok := a.manifests[digest]
	return m, ok, nil
}

func (a *archive) BundlePart(_ context.Context, digest string) ([]byte, bool, error) {
	p, ok := a.parts[digest]
	return p, ok, nil
}

func TestReload(t *testing.T) {
	dir, kept := shipped(t), newArchive()
	m := bundle.NewManager(bundle.Source{Dir: dir}, kept, slog.New(slog.DiscardHandler))
	var changes, refusals int
	m.OnChange, m.OnRefusal = func(*bundle.Bundle) { changes++ }, func(error) { refusals++ }
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := m.Current()
	if err := m.Reload(t.Context()); err != nil || m.Current() != first || changes != 1 {
		t.Fatalf("nothing changed: %v, %d changes", err, changes)
	}

	edit(t, "data.classes:", "data.clases:", dir, "packs/eu/EU-101.yaml")
	for range 2 {
		if err := m.Reload(t.Context()); err == nil || m.Current() != first {
			t.Fatalf("a bad bundle is in force: %v", err)
		}
	}
	if !m.Refused() {
		t.Error("nothing shows that the folder is not fit for use")
	}
	if refusals != 1 {
		t.Errorf("one refusal was told %d times", refusals)
	}

	edit(t, "data.clases:", "data.classes:", dir, "packs/eu/EU-101.yaml")
	if err := m.Reload(t.Context()); err != nil || m.Current() != first || changes != 2 || m.Refused() {
		t.Fatalf("a mended folder: %v, told %d times", err, changes)
	}
	edit(t, "title:", "title: A", dir, "packs/eu/EU-101.yaml")
	if err := m.Reload(t.Context()); err != nil || m.Current().Digest == first.Digest || changes != 3 {
		t.Fatalf("a good change is not in force: %v", err)
	}
	if m.Refused() {
		t.Error("a good bundle is shown as refused")
	}
	for _, digest := range []string{first.Digest, m.Current().Digest} {
		if b, err := m.ByDigest(t.Context(), digest); err != nil || b.Digest != digest {
			t.Errorf("bundle %s is not found: %v", digest, err)
		}
	}

	kept.fail = context.DeadlineExceeded
	edit(t, "title: A", "title: B", dir, "packs/eu/EU-101.yaml")
	before := m.Current()
	if err := m.Reload(t.Context()); err == nil || m.Current() != before {
		t.Errorf("a bundle that could not be kept is in force: %v", err)
	}
}

// A store that does not answer is not the bundle's fault: its words say so, and a start waits for it.
func TestStoreThatIsDown(t *testing.T) {
	dir := shipped(t)
	down := errors.New("insert into bundle_parts: EOF")
	start := func(ctx context.Context, failures int) (m *bundle.Manager, took time.Duration, err error) {
		kept := newArchive()
		m = bundle.NewManager(bundle.Source{Dir: dir}, &flaky{archive: kept, failures: failures, err: down}, slog.New(slog.DiscardHandler))
		m.OnRefusal = func(err error) { t.Errorf("refused: %v", err) }
		begun := time.Now()
		err = m.Start(ctx)
		return m, time.Since(begun), err
	}
	synctest.Test(t, func(t *testing.T) {
		if m, took, err := start(t.Context(), 3); err != nil || m.Current() == nil || took < time.Second {
			t.Errorf("a store that comes back: %v after %v", err, took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, took, err := start(t.Context(), 1000)
		var storage *bundle.StorageError
		if !errors.As(err, &storage) || !errors.Is(err, down) || took > time.Minute {
			t.Fatalf("a store that stays away: %v after %v", err, took)
		}
		if text := err.Error(); strings.Contains(text, "not fit") || !strings.Contains(text, "ClickHouse") {
			t.Errorf("told as %q", text)
		}
	})
	m, _, err := start(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	first := m.Current()
	edit(t, "title:", "title: A", dir, "packs/eu/EU-101.yaml")
	m.OnActivate = func(context.Context, *bundle.Bundle) error { return down }
	if err := m.Reload(t.Context()); err == nil || m.Refused() || m.Current() != first {
		t.Errorf("a change that cannot be recorded: %v, refused %v", err, m.Refused())
	}
}

// flaky fails a few times.
type flaky struct {
	*archive
	failures int
	err      error
}

func (f *flaky) InsertBundle(ctx context.Context, digest, manifest string, parts map[string][]byte) error {
	if f.failures--; f.failures >= 0 {
		return f.err
	}
	return f.archive.InsertBundle(ctx, digest, manifest, parts)
}

// A worker goes on without its location database, as with a damaged one; a person who names one that is not there made a
// mistake.
func TestMissingLocationDatabase(t *testing.T) {
	source := bundle.Source{Dir: shipped(t), GeoIP: filepath.Join(t.TempDir(), "country.mmdb")}
	if _, err := source.Read(); err == nil || !strings.Contains(err.Error(), source.GeoIP) {
		t.Errorf("read for a person: %v", err)
	}
	m := bundle.NewManager(source, newArchive(), slog.New(slog.DiscardHandler))
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(m.Current().Warnings, func(w string) bool {
		return strings.Contains(w, "country.mmdb") && strings.Contains(w, "missing")
	}) {
		t.Errorf("no warning names it: %v", m.Current().Warnings)
	}
	write(t, string(enrichtest.Database(map[string]enrichtest.Record{"203.0.113.0/24": {}})), source.GeoIP)
	before := m.Current().Digest
	if err := m.Reload(t.Context()); err != nil || m.Current().Digest == before {
		t.Errorf("the database that came is not in force: %v", err)
	}
}

func TestFetchChecksEveryByte(t *testing.T) {
	kept := newArchive()
	m := bundle.NewManager(bundle.Source{Dir: shipped(t)}, kept, slog.New(slog.DiscardHandler))
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := m.Current()
	got, err := bundle.Fetch(t.Context(), kept, want.Digest)
	if err != nil || got.Digest != want.Digest {
		t.Fatalf("fetch: %v", err)
	}
	for _, p := range want.Parts {
		whole := kept.parts[p.Digest]
		kept.parts[p.Digest] = append(slices.Clone(whole), ' ')
		if _, err := bundle.Fetch(t.Context(), kept, want.Digest); err == nil || !strings.Contains(err.Error(), p.Path) {
			t.Errorf("a changed %s is taken: %v", p.Path, err)
		}
		kept.parts[p.Digest] = whole
	}
	manifest := kept.manifests[want.Digest]
	kept.manifests[want.Digest] = strings.Replace(manifest, "file ", "fiel ", 1)
	if _, err := bundle.Fetch(t.Context(), kept, want.Digest); err == nil {
		t.Error("a changed manifest is taken")
	}
	delete(kept.manifests, want.Digest)
	if _, err := bundle.Fetch(t.Context(), kept, want.Digest); err == nil {
		t.Error("a missing manifest is taken")
	}
}
