package bundle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"borderwatch/rules/release"
)

// History tells what judged before this process.
type History interface {
	// LastBundle returns the digest of the bundle that was the last to judge anything, false where nothing was judged.
	LastBundle(ctx context.Context) (string, bool, error)
}

// Manager holds the bundle in force and replaces it when its origin changes. A bad one leaves the old bundle in force:
// there is never a moment without rules.
type Manager struct {
	origin  Origin
	archive Archive
	log     *slog.Logger
	// OnChange is told of every bundle that comes into force, and of the one in force when a refused origin is mended;
	// OnRefusal of every bundle that is refused. They may be nil and are set before Start, as all that follows.
	OnChange  func(*Bundle)
	OnRefusal func(error)
	// OnActivate is asked before a bundle comes into force; its error keeps the old one. It records the activation.
	OnActivate func(context.Context, *Bundle) error
	// Policy says who must have signed. Nil takes unsigned bundles.
	Policy *release.Policy
	// History, where set, gives a process that finds a bad bundle at its start the one that judged last.
	History History

	current atomic.Pointer[Bundle]

	mu      sync.Mutex
	recent  []*Bundle // the last few, newest last, for batches that have to be made again
	refused string    // why the origin was refused last, so that it is told once
}

// keepRecent is how many bundles stay compiled in memory: each holds its location databases.
const keepRecent = 3

// NewManager returns a manager of what comes from origin. Start has to be called before Current.
func NewManager(origin Origin, archive Archive, log *slog.Logger) *Manager {
	return &Manager{origin: origin, archive: archive, log: log}
}

// StorageError says that a bundle does not judge because of what keeps bundles. The bundle is not at fault, and trying
// again helps where that comes back.
type StorageError struct {
	What string // what was not possible
	Err  error
}

func (e *StorageError) Error() string { return e.What + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StorageError) Unwrap() error { return e.Err }

// A start waits 0.5, 1, 2, 4, 8 and 16 s for storage that fails.
const (
	startAttempts = 7
	startPause    = 500 * time.Millisecond
)

// Start puts the first bundle in force: that of the origin, or where it is bad the one that judged last. Without a good
// one nothing can be judged, so its error ends the process. It tries again for half a minute where storage fails, and
// returns *StorageError then.
func (m *Manager) Start(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := m.start(ctx)
		var storage *StorageError
		if !errors.As(err, &storage) || attempt == startAttempts {
			return err
		}
		m.log.Warn("the first bundle is not in force yet, it is tried again", "attempt", attempt, "error", err)
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(startPause << (attempt - 1)):
		}
	}
}

func (m *Manager) start(ctx context.Context) error {
	last, err := m.last(ctx)
	if err != nil {
		return err
	}
	bad := m.replace(ctx, last)
	var storage *StorageError
	if bad == nil || ctx.Err() != nil || errors.As(bad, &storage) {
		return bad
	}
	unfit := fmt.Errorf("the bundle in %s is not fit for use, and without one nothing can be judged (borderwatch rules check shows all that is wrong):\n%w", m.origin, bad)
	if last.digest == "" {
		return unfit
	}
	if err := m.fallBack(ctx, last); err != nil {
		return fmt.Errorf("%w\nthe one that judged last cannot take its place: %w", unfit, err)
	}
	m.refuse(bad)
	return nil
}

// predecessor is what a bundle replaces.
type predecessor struct {
	digest  string           // "" where there is none
	release *release.Release // nil where it is unsigned
	started bool             // it is in force in this process
}

// last finds what judged before this process.
func (m *Manager) last(ctx context.Context) (p predecessor, err error) {
	if m.History == nil {
		return p, nil
	}
	const what = "which bundle judged last cannot be read from ClickHouse"
	digest, ok, err := m.History.LastBundle(ctx)
	if err != nil {
		return p, &StorageError{what, err}
	}
	if !ok {
		return p, nil
	}
	signed, err := FetchRelease(ctx, m.archive, digest)
	if errors.Is(err, ErrLost) {
		m.log.Error("the bundle that judged last is not in the archive as it was", "digest", digest, "error", err)
		return p, nil
	}
	if err != nil {
		return p, &StorageError{what, err}
	}
	return predecessor{digest: digest, release: signed}, nil
}

// fallBack puts the bundle in force that judged last. It was live before, so its age does not matter; its signatures do.
func (m *Manager) fallBack(ctx context.Context, last predecessor) error {
	parts, err := FetchParts(ctx, m.archive, last.digest)
	if err != nil {
		return err
	}
	b, err := m.accept(ctx, Candidate{Parts: release.Content(parts), Signed: release.Signed(parts)}, last)
	if err != nil {
		return err
	}
	return m.activate(ctx, b)
}

// Current returns the bundle in force.
func (m *Manager) Current() *Bundle { return m.current.Load() }

// Refused reports whether the origin as it is now is not fit for use, so that an older bundle judges.
func (m *Manager) Refused() bool { return m.Refusal() != "" }

// Refusal says why the origin as it is now was refused, "" where it is in force.
func (m *Manager) Refusal() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused
}

// Run looks at the origin every interval until ctx ends.
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

// Reload puts the origin's bundle in force if it changed and is good. Its error says why it is not in force; one that could
// not be kept is not refused, the next Reload tries again.
func (m *Manager) Reload(ctx context.Context) error {
	before := m.Current()
	err := m.replace(ctx, predecessor{digest: before.Digest, release: before.Release, started: true})
	var storage *StorageError
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.As(err, &storage):
		m.log.Warn("the changed bundle is not in force yet, it is tried again", "in_force", before.Digest, "error", err)
	default:
		m.refuse(err)
	}
	if err == nil && m.setRefused("") && m.Current() == before && m.OnChange != nil {
		m.OnChange(before) // mended: what judges is again what the origin says
	}
	return err
}

// refuse tells once that the origin's bundle is not in force.
func (m *Manager) refuse(err error) {
	if !m.setRefused(err.Error()) {
		return
	}
	m.log.Error("the bundle was refused, the old one stays in force", "in_force", m.Current().Digest, "error", err)
	if m.OnRefusal != nil {
		m.OnRefusal(err)
	}
}

// replace puts the origin's bundle in the place of another, where it differs.
func (m *Manager) replace(ctx context.Context, old predecessor) error {
	candidate, err := m.origin.Candidate(ctx, old.release)
	if err != nil {
		return err
	}
	if old.started && release.Digest(candidate.all()) == old.digest {
		return nil
	}
	b, err := m.accept(ctx, candidate, old)
	if err != nil {
		return err
	}
	return m.activate(ctx, b)
}

// accept checks signatures, where there is a policy, and then everything else.
func (m *Manager) accept(ctx context.Context, c Candidate, old predecessor) (*Bundle, error) {
	parts := c.all()
	var signers []release.Signer
	if m.Policy != nil {
		at := release.Context{Now: time.Now(), Live: old.release}
		if release.Digest(parts) == old.digest {
			at = release.Context{} // it was live before
		}
		var err error
		if signers, err = m.verify(ctx, c, at); err != nil {
			return nil, err
		}
	}
	b, err := Compile(parts)
	if err != nil {
		return nil, err
	}
	b.Signers = signers
	return b, nil
}

// ErrUnsigned refuses a bundle without signatures.
var ErrUnsigned = errors.New("nobody has signed it")

func (m *Manager) verify(ctx context.Context, c Candidate, at release.Context) ([]release.Signer, error) {
	if c.Signed == nil {
		return nil, ErrUnsigned
	}
	signed, err := release.Parse(c.Signed)
	if err != nil {
		return nil, err
	}
	at.Base = func(content string) ([]Part, error) {
		parts, err := FetchParts(ctx, m.archive, content)
		if err != nil && !errors.Is(err, ErrLost) {
			err = &StorageError{"the bundle that the signed change is based on cannot be read from ClickHouse", err}
		}
		return parts, err
	}
	return m.Policy.Verify(c.Parts, signed, at)
}

// setRefused remembers why the origin was refused last, "" where it was not, and reports whether that is news.
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
	if err := Keep(ctx, m.archive, b.Parts); err != nil {
		return &StorageError{"the bundle is fit for use, but ClickHouse does not keep it, and one that is not kept must not judge", err}
	}
	if m.OnActivate != nil {
		if err := m.OnActivate(ctx, b); err != nil {
			return &StorageError{"the bundle is fit for use, but the evidence log does not record its activation", fmt.Errorf("bundle %s: %w", b.Digest, err)}
		}
	}
	m.remember(b)
	m.current.Store(b)
	m.log.Info("bundle in force", "digest", b.Digest, "signatures", b.Signatures(), "rules", len(b.Engine.Rules()), "warnings", len(b.Warnings))
	for _, warning := range b.Warnings[:min(len(b.Warnings), maxWarnings)] {
		m.log.Warn("bundle", "warning", warning)
	}
	if m.OnChange != nil {
		m.OnChange(b)
	}
	return nil
}

// The ways in which a bundle in force is signed.
const (
	Unsigned          = "unsigned"
	SignedDevelopment = "development"
	SignedByPolicy    = "signed"
)

// Signatures says how the bundle in force is signed.
func (b *Bundle) Signatures() string {
	switch {
	case len(b.Signers) == 0:
		return Unsigned
	case b.Signers[0].Role == SignedDevelopment:
		return SignedDevelopment
	}
	return SignedByPolicy
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
