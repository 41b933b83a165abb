package ledger

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/tessera/api/layout"
)

const (
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // for one answer, or one line of a long one
	appendTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	maxToken      = 512
)

// ServerOptions of NewServer. Appends and queries need a token if any are
// given, else a verified client certificate. Tiles and checkpoints are open.
type ServerOptions struct {
	Tokens []string    // bearer tokens, 16 bytes or more; several while one is replaced
	TLS    *tls.Config // nil for plain HTTP behind a proxy or on loopback
	// Wrap, where set, goes around all routes: to count requests, say. It must
	// keep http.ResponseController working.
	Wrap func(http.Handler) http.Handler
}

// Server offers a Log over HTTP.
//
//	POST /v1/append   body: leaf text → 200 {"index":n}, 400, 409 with the head, 503 not durable
//	GET  /v1/head     ?source=&topic=&partition= → 200 {"exists":b,"index":n,"first":n,"last":n}
//	GET  /v1/leaves   ?source=&topic=&partition=&from= → JSON lines, see leafLine
//	GET  /v1/salt-key ?day=2026-11-24 → 200 {"key":"hex"}, 410 destroyed
//	GET  /checkpoint, /tile/…   static files of the log (C2SP tlog-tiles)
type Server struct {
	log    *Log
	tokens [][32]byte
	tls    *tls.Config
	wrap   func(http.Handler) http.Handler
}

// NewServer checks the options. It refuses to offer appends to everyone.
func NewServer(l *Log, o ServerOptions) (*Server, error) {
	s := &Server{log: l, tls: o.TLS, wrap: o.Wrap}
	for _, t := range o.Tokens {
		if len(t) < 16 || len(t) > maxToken {
			return nil, fmt.Errorf("ledger token has %d bytes, want 16 to %d", len(t), maxToken)
		}
		s.tokens = append(s.tokens, sha256.Sum256([]byte(t)))
	}
	certs := o.TLS != nil && o.TLS.ClientAuth >= tls.VerifyClientCertIfGiven
	if len(s.tokens) == 0 && !certs {
		return nil, errors.New("ledger server needs a token or verified client certificates")
	}
	return s, nil
}

// Run serves on ln until ctx ends, then lets running requests finish for ten
// seconds. It closes ln, not the log.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		TLSConfig:         s.tls,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
	served := make(chan error, 1)
	go func() {
		if s.tls != nil {
			served <- srv.ServeTLS(ln, "", "")
			return
		}
		served <- srv.Serve(ln)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve ledger: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("stop ledger server: %w", err), srv.Close())
	}
	return nil
}

// Handler returns the routes, for callers with a server of their own. Timeouts
// are theirs then.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /v1/append", s.authorized(s.append))
	mux.Handle("GET /v1/head", s.authorized(s.head))
	mux.Handle("GET /v1/leaves", s.authorized(s.leaves))
	mux.Handle("GET /v1/salt-key", s.authorized(s.saltKey))
	mux.HandleFunc("GET /checkpoint", s.checkpoint)
	mux.HandleFunc("GET /tile/{path...}", s.tile)
	if s.wrap != nil {
		return s.wrap(mux)
	}
	return mux
}

func (s *Server) authorized(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.allows(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, http.StatusUnauthorized, errors.New("no valid token or client certificate"))
			return
		}
		h(w, r)
	})
}

// allows compares digests, so that neither content nor length of a token shows
// in the time it takes.
func (s *Server) allows(r *http.Request) bool {
	if len(s.tokens) == 0 {
		return r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || len(token) > maxToken {
		return false
	}
	sum, found := sha256.Sum256([]byte(token)), 0
	for _, t := range s.tokens {
		found |= subtle.ConstantTimeCompare(sum[:], t[:])
	}
	return found == 1
}

// indexAnswer is the body of a successful append.
type indexAnswer struct {
	Index uint64 `json:"index"`
}

// headAnswer is the body of a head query, and of 409 with an error.
type headAnswer struct {
	Error  string `json:"error,omitempty"`
	Exists bool   `json:"exists"`
	Index  uint64 `json:"index"`
	First  int64  `json:"first"`
	Last   int64  `json:"last"`
}

// leafLine is one line of the leaves answer. The last line has End or Error; an
// answer without one was cut off.
type leafLine struct {
	Index uint64 `json:"index"`
	Leaf  string `json:"leaf,omitempty"`
	End   bool   `json:"end,omitempty"`
	Error string `json:"error,omitempty"`
}

func (s *Server) append(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxLeafSize))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		writeError(w, status, fmt.Errorf("read leaf: %w", err))
		return
	}
	leaf, err := ParseLeaf(text)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	switch leaf.(type) {
	case Heartbeat, KeyRotation:
		writeError(w, http.StatusBadRequest, fmt.Errorf("%w: only the ledger itself writes this kind", ErrInvalidLeaf))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), appendTimeout)
	defer cancel()
	index, err := s.log.Append(ctx, leaf)
	if conflict := new(ConflictError); errors.As(err, &conflict) {
		a := headAnswer{Error: err.Error(), Exists: conflict.Exists}
		a.Index, a.First, a.Last = conflict.Head.Index, conflict.Head.First, conflict.Head.Last
		writeJSON(w, http.StatusConflict, a)
		return
	}
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	writeJSON(w, http.StatusOK, indexAnswer{Index: index})
}

func (s *Server) head(w http.ResponseWriter, r *http.Request) {
	k, err := queryKey(r)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	h, ok, err := s.log.Head(r.Context(), k)
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	writeJSON(w, http.StatusOK, headAnswer{Exists: ok, Index: h.Index, First: h.First, Last: h.Last})
}

func (s *Server) leaves(w http.ResponseWriter, r *http.Request) {
	k, err := queryKey(r)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	from, err := strconv.ParseInt(r.FormValue("from"), 10, 64)
	if err != nil {
		writeError(w, http.StatusBadRequest, fmt.Errorf("from: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	out, deadline := json.NewEncoder(w), http.NewResponseController(w)
	last := leafLine{End: true}
	for e, err := range s.log.Leaves(r.Context(), k, from) {
		if err != nil {
			last = leafLine{Error: err.Error()}
			break
		}
		// Not every writer has deadlines (tests); then the server's own counts.
		_ = deadline.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err := out.Encode(leafLine{Index: e.Index, Leaf: string(e.Leaf.Marshal())}); err != nil {
			return // the client is gone
		}
	}
	_ = out.Encode(last)
}

func queryKey(r *http.Request) (Key, error) {
	p, err := strconv.ParseInt(r.FormValue("partition"), 10, 32)
	if err != nil {
		return Key{}, fmt.Errorf("partition: %w", err)
	}
	k := Key{Source: r.FormValue("source"), Topic: r.FormValue("topic"), Partition: int32(p)}
	return k, Span{Key: k, Prev: -1}.validate()
}

func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	cp, err := s.log.Checkpoint(r.Context())
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(cp)
}

// tile serves a tile or entry bundle once a checkpoint covers it. One that is
// not covered may yet be written again with other content, after a failure, and
// nobody should have cached it.
func (s *Server) tile(w http.ResponseWriter, r *http.Request) {
	id, err := parseTile(r.PathValue("path"))
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	cp, err := s.log.openCheckpoint(r.Context())
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err)
		return
	}
	if !id.within(cp.Size) {
		writeError(w, http.StatusNotFound, errors.New("not under a checkpoint yet"))
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeFile(w, r, s.log.treePath(id.path()))
}

// tileID names a tile, or the entry bundle of the same coordinates at level 0.
type tileID struct {
	entries bool
	level   uint64
	index   uint64
	partial uint8 // 0 for a full one
}

func parseTile(path string) (id tileID, err error) {
	level, index, _ := strings.Cut(path, "/")
	if level == "entries" {
		id.entries = true
		id.index, id.partial, err = layout.ParseTileIndexPartial(index)
		return id, err
	}
	id.level, id.index, id.partial, err = layout.ParseTileLevelIndexPartial(level, index)
	return id, err
}

func (id tileID) path() string {
	if id.entries {
		return layout.EntriesPath(id.index, id.partial)
	}
	return layout.TilePath(id.level, id.index, id.partial)
}

// within reports whether a tree of that size has all hashes of the tile.
func (id tileID) within(size uint64) bool {
	if id.level > 7 {
		return false
	}
	width := uint64(layout.TileWidth)
	if id.partial > 0 {
		width = uint64(id.partial)
	}
	nodes := size >> (layout.TileHeight * id.level)
	return id.index < nodes/layout.TileWidth+1 && id.index*layout.TileWidth+width <= nodes
}

func writeError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, headAnswer{Error: err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
