package witness

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxRequest bounds a request: a proof of 63 hashes and a checkpoint with a few signatures.
const maxRequest = 64 << 10

// refusal is an answer other than 200.
type refusal struct {
	status int
	size   int64 // of the last checkpoint; sent with 409 where hasSize
	sized  bool
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, err: fmt.Errorf(format, args...)}
}

// Handler returns the routes:
//
//	POST /add-checkpoint   C2SP tlog-witness → 200 and the line of the cosignature, 400, 403, 404, 409, 422
//	GET  /livez            200
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.addCheckpoint)
	mux.HandleFunc("GET /livez", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok\n") })
	return mux
}

func (w *Witness) addCheckpoint(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "request is too large or was cut off", http.StatusBadRequest)
		return
	}
	line, err := w.add(body)
	var no *refusal
	w.tell(err, r.RemoteAddr)
	switch {
	case errors.As(err, &no) && no.sized:
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(no.status)
		fmt.Fprintf(rw, "%d\n", no.size)
	case errors.As(err, &no):
		http.Error(rw, no.Error(), no.status)
	case err != nil:
		http.Error(rw, "the witness cannot keep the checkpoint and does not sign it", http.StatusInternalServerError)
	default:
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = rw.Write(line)
	}
}

// tell logs what the person who runs the witness has to know. A wrong old size is how a log learns the right one.
func (w *Witness) tell(err error, from string) {
	var no *refusal
	switch {
	case err == nil, errors.As(err, &no) && no.sized:
	case no == nil:
		w.log.Error("a checkpoint was not cosigned", "from", from, "error", err)
	default:
		w.log.Warn("a checkpoint was refused", "from", from, "status", no.status, "reason", no.err)
	}
}

// add cosigns a checkpoint that continues the last one, and returns the line
// of the cosignature once the checkpoint is the last one on disk. A crash
// before the answer leaves a checkpoint that the log asks for again.
func (w *Witness) add(body []byte) ([]byte, error) {
	req, err := readRequest(body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%w", err)
	}
	c, err := w.open(req.text)
	switch {
	case errors.Is(err, errUnknownLog):
		return nil, refuse(http.StatusNotFound, "%w", err)
	case errors.Is(err, errUnsigned):
		return nil, refuse(http.StatusForbidden, "%w", err)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "%w", err)
	case req.old > c.size:
		return nil, refuse(http.StatusBadRequest, "old size %d is larger than the checkpoint's, %d", req.old, c.size)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, err := w.last(c.origin)
	if err != nil {
		return nil, err
	}
	if err := admit(&c, last, &req); err != nil {
		return nil, err
	}
	text, line, err := w.cosign(&c)
	if err != nil {
		return nil, err
	}
	if err := w.keep(c.origin, text); err != nil {
		return nil, fmt.Errorf("keep the checkpoint: %w", err)
	}
	return line, nil
}

// admit compares a checkpoint with the last one of its log.
func admit(c *checkpoint, last seen, req *request) error {
	switch {
	case req.old != last.size:
		return &refusal{status: http.StatusConflict, size: last.size, sized: true, err: fmt.Errorf("the last checkpoint has size %d", last.size)}
	case c.size == last.size && last.size > 0 && c.root != last.root:
		return refuse(http.StatusConflict, "another root of the same size: the log was forked")
	case !c.extends(last, req.proof):
		return refuse(http.StatusUnprocessableEntity, "the proof does not show that the log of %d contains that of %d", c.size, last.size)
	}
	return nil
}
