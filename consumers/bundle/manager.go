package bundle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Archive keeps bundles by digest for as long as events that name them. Inserting what is there already changes nothing.
type Archive interface {
	InsertBundle(ctx context.Context, digest, manifest string, parts map[string][]byte) error
	BundleManifest(ctx context.Context, digest string) (string, bool, error)
	BundlePart(ctx context.Context, digest string) ([]byte, bool, error)
}

// Manager holds the bundle in force and replaces it when its source changes. A bad source leaves the old bundle in
// force: there is never a moment without rules.
type Manager struct {
	source  Source
	archive Archive
	log     *slog.Logger
	// OnChange is told of every bundle that comes into force, and of the one in force when a refused source is mended;
	// OnRefusal of every source that is refused. They may be nil and are set before Run.
	OnChange  func(*Bundle)
	OnRefusal func(error)

	current atomic.Pointer[Bundle]

	mu      sync.Mutex
	recent  []*Bundle // the last few, newest last, for batches that have to be made again
	refused string    // why the source was refused last, so that it is told once
}

// keepRecent is how many bundles stay compiled in memory: each holds its location databases.
const keepRecent = 3

// NewManager returns a manager of a source. Start has to be called before Current.
func NewManager(source Source, archive Archive, log *slog.Logger) *Manager {
	return &Manager{source: source, archive: archive, log: log}
}

// Start loads the first bundle. Without a good one nothing can be judged, so its error ends the process.
func (m *Manager) Start(ctx context.Context) error {
	b, err := Load(m.source)
	if err != nil {
		return fmt.Errorf("the bundle in %s is not fit for use, and without one nothing can be judged (borderwatch rules check shows all that is wrong):\n%w", m.source.Dir, err)
	}
	return m.activate(ctx, b)
}

// Current returns the bundle in force.
func (m *Manager) Current() *Bundle { return m.current.Load() }

// Refused reports whether the source as it is now is not fit for use, so that an older bundle judges.
func (m *Manager) Refused() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused != ""
}

// Run looks at the source every interval until ctx ends.
func (m *Manager) Run(ctx context.Context, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.Reload(ctx)
		}
	}
}

// Reload puts the source's bundle in force if it changed and is good. It reports whether the source is good.
func (m *Manager) Reload(ctx context.Context) error {
	before := m.Current()
	err := m.reload(ctx)
	if err != nil && m.setRefused(err.Error()) {
		m.log.Error("the bundle was refused, the old one stays in force", "in_force", m.Current().Digest, "error", err)
		if m.OnRefusal != nil {
			m.OnRefusal(err)
		}
	}
	if err == nil && m.setRefused("") && m.Current() == before && m.OnChange != nil {
		m.OnChange(before) // mended: what judges is again what the folder says
	}
	return err
}

func (m *Manager) reload(ctx context.Context) error {
	parts, err := m.source.Read()
	if err != nil {
		return err
	}
	if digestOf(manifest(parts)) == m.Current().Digest {
		return nil
	}
	b, err := Compile(parts)
	if err != nil {
		return err
	}
	return m.activate(ctx, b)
}

// setRefused remembers why the source was refused last, "" where it was not, and reports whether that is news.
func (m *Manager) setRefused(why string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := m.refused != why
	m.refused = why
	return changed
}

// activate archives a bundle and puts it in force, in this order: a verdict must never name a bundle that cannot be
// found.
func (m *Manager) activate(ctx context.Context, b *Bundle) error {
	parts := make(map[string][]byte, len(b.Parts))
	for _, p := range b.Parts {
		parts[p.Digest] = p.Data
	}
	if err := m.archive.InsertBundle(ctx, b.Digest, string(b.Manifest), parts); err != nil {
		return fmt.Errorf("keep bundle %s: %w", b.Digest, err)
	}
	m.remember(b)
	m.current.Store(b)
	m.log.Info("bundle in force", "digest", b.Digest, "rules", len(b.Engine.Rules()), "warnings", len(b.Warnings))
	for _, warning := range b.Warnings[:min(len(b.Warnings), maxWarnings)] {
		m.log.Warn("bundle", "warning", warning)
	}
	if m.OnChange != nil {
		m.OnChange(b)
	}
	return nil
}

// maxWarnings is how many warnings of a bundle are logged; borderwatch rules check shows all.
const maxWarnings = 20

// ByDigest returns a bundle that was in force before, from memory or from the archive.
func (m *Manager) ByDigest(ctx context.Context, digest string) (*Bundle, error) {
	if b := m.recall(digest); b != nil {
		return b, nil
	}
	b, err := Fetch(ctx, m.archive, digest)
	if err != nil {
		return nil, err
	}
	m.remember(b)
	return b, nil
}

func (m *Manager) recall(digest string) *Bundle {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.recent {
		if b.Digest == digest {
			return b
		}
	}
	return nil
}

func (m *Manager) remember(b *Bundle) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.recent) == keepRecent {
		m.recent = append(m.recent[:0], m.recent[1:]...)
	}
	m.recent = append(m.recent, b)
}

// ErrLost says that a bundle is not in the archive as it was, or that this build cannot use it: asking again does not help.
var ErrLost = errors.New("the bundle cannot be had again")

// Fetch reads a bundle from the archive and checks every byte against its digest. Errors other than ErrLost are the
// archive's own and may pass.
func Fetch(ctx context.Context, archive Archive, digest string) (*Bundle, error) {
	text, ok, err := archive.BundleManifest(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", digest, err)
	}
	if !ok || digestOf([]byte(text)) != digest {
		return nil, fmt.Errorf("%w: %s is not in the archive, or under another digest", ErrLost, digest)
	}
	parts, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrLost, digest, err)
	}
	for i := range parts {
		data, ok, err := archive.BundlePart(ctx, parts[i].Digest)
		if err != nil {
			return nil, fmt.Errorf("bundle %s: %s: %w", digest, parts[i].Path, err)
		}
		if got := newPart("", "", data).Digest; !ok || got != parts[i].Digest {
			return nil, fmt.Errorf("%w: %s: %s is not in the archive, or with other bytes", ErrLost, digest, parts[i].Path)
		}
		parts[i].Data = data
	}
	b, err := Compile(parts)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrLost, digest, err)
	}
	return b, nil
}

// parseManifest reads what manifest wrote.
func parseManifest(text string) (parts []Part, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 2 || lines[0] != manifestVersion {
		return nil, fmt.Errorf("manifest line 1: not %s", manifestVersion)
	}
	if want := "normaliser " + strconv.Itoa(NormaliserVersion); lines[1] != want {
		return nil, fmt.Errorf("manifest line 2: %q, this build has %q and cannot judge as that one did", lines[1], want)
	}
	for i, line := range lines[2:] {
		fields := strings.SplitN(line, " ", 4)
		if len(fields) != 4 {
			return nil, fmt.Errorf("manifest line %d: want role, digest, size and path", i+3)
		}
		parts = append(parts, Part{Role: fields[0], Digest: strings.TrimPrefix(fields[1], "sha256:"), Path: fields[3]})
	}
	return parts, nil
}
