package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// SaltKey is the secret of one UTC day from which the salts of that day's rows are derived. It lives with the ledger
// until every row has its salt beside it; then it is destroyed, so that nothing is left to test a guess at an erased row
// with.
type SaltKey [32]byte

// ErrSaltKeyGone means that the key of a day was destroyed, or that the day is one on which no batch can be. A batch of
// that day cannot be made again.
var ErrSaltKeyGone = errors.New("no salt key of that day")

const (
	saltDir     = "salts"
	saltSuffix  = ".key"
	dayForm     = time.DateOnly
	defaultKeep = 8 * 24 * time.Hour
	// SaltKeyLife is how long after the beginning of a day its salt key is gone at the latest, unless Options.KeepSaltKeys
	// says otherwise: the key goes when that of a later day is made.
	SaltKeyLife   = defaultKeep + 48*time.Hour
	saltClockSkew = 24 * time.Hour // between the clocks of a worker and the ledger
)

// SaltKey returns the key of a UTC day (2026-11-24). It makes one, durably, for a day that is now by any worker's clock,
// and then destroys those that are older than Options.KeepSaltKeys. Other errors wrap ErrUnavailable.
func (l *Log) SaltKey(_ context.Context, day string) (SaltKey, error) {
	start, err := time.Parse(dayForm, day)
	if err != nil {
		return SaltKey{}, fmt.Errorf("%w: %.20q is no day", ErrSaltKeyGone, day)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return SaltKey{}, err
	}
	path := filepath.Join(l.dir, saltDir, day+saltSuffix)
	text, err := os.ReadFile(path)
	if err == nil {
		return parseSaltKey(path, text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return SaltKey{}, asUnavailable(err)
	}
	now := l.now()
	if now.Before(start.Add(-saltClockSkew)) || now.After(start.Add(24*time.Hour+saltClockSkew)) {
		return SaltKey{}, fmt.Errorf("%w: %s", ErrSaltKeyGone, day)
	}
	return l.newSaltKey(path, now)
}

// newSaltKey makes a key and destroys the old ones.
func (l *Log) newSaltKey(path string, now time.Time) (key SaltKey, err error) {
	_, _ = rand.Read(key[:]) // never fails
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return SaltKey{}, asUnavailable(err)
	}
	if err := writeFile(path, []byte(hex.EncodeToString(key[:])+"\n"), 0o600); err != nil {
		return SaltKey{}, asUnavailable(err)
	}
	return key, asUnavailable(l.destroySaltKeys(dir, now))
}

func (l *Log) destroySaltKeys(dir string, now time.Time) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		day, err := time.Parse(dayForm, strings.TrimSuffix(f.Name(), saltSuffix))
		if err == nil && now.Sub(day) > l.keepSalts+24*time.Hour {
			errs = append(errs, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return errors.Join(append(errs, syncDir(dir))...)
}

func parseSaltKey(path string, text []byte) (key SaltKey, err error) {
	n, err := hex.Decode(key[:], []byte(strings.TrimSpace(string(text[:min(len(text), 65)]))))
	if err != nil || n != len(key) {
		return SaltKey{}, fmt.Errorf("%w: %s is damaged: restore it", ErrUnavailable, path)
	}
	return key, nil
}

// saltAnswer is the body of a salt key answer.
type saltAnswer struct {
	Key string `json:"key"`
}

func (s *Server) saltKey(w http.ResponseWriter, r *http.Request) {
	key, err := s.log.SaltKey(r.Context(), r.URL.Query().Get("day"))
	switch {
	case errors.Is(err, ErrSaltKeyGone):
		writeError(w, http.StatusGone, err)
	case err != nil:
		writeError(w, http.StatusServiceUnavailable, err)
	default:
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, http.StatusOK, saltAnswer{Key: hex.EncodeToString(key[:])})
	}
}

// SaltKey is Log.SaltKey.
func (c *Client) SaltKey(ctx context.Context, day string) (SaltKey, error) {
	var a saltAnswer
	if err := c.call(ctx, http.MethodGet, "/v1/salt-key", url.Values{"day": {day}}, nil, &a); err != nil {
		return SaltKey{}, err
	}
	return parseSaltKey("the ledger's answer", []byte(a.Key))
}
