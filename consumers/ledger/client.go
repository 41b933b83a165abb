package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"borderwatch/consumers/drain"
)

const (
	defaultAttempts = 5
	firstBackoff    = 50 * time.Millisecond
	maxBackoff      = 2 * time.Second
	attemptTimeout  = 15 * time.Second
	maxAnswer       = 1 << 20
)

// ErrUnauthorized means that the ledger refused the token or certificate.
var ErrUnauthorized = errors.New("ledger refused the credentials")

// ClientOptions of NewClient.
type ClientOptions struct {
	Token string // bearer token, empty with client certificates
	// HTTP makes the requests; its transport holds TLS settings. Default: a
	// transport that waits 15 s for an answer to begin. Redirects are not followed.
	HTTP *http.Client
	// Attempts is how often a request is tried within its context. Default 5.
	Attempts int
}

// Client is a ledger behind a Server. It has the methods of Log with the same
// contracts, and may be used concurrently.
type Client struct {
	base     *url.URL
	token    string
	http     *http.Client
	attempts int
}

// NewClient returns a client of the server at base, like https://ledger:8443.
func NewClient(base string, o ClientOptions) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("ledger address: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("ledger address %q: want http:// or https:// and a host", base)
	}
	c := &Client{base: u, token: o.Token, attempts: o.Attempts, http: &http.Client{}}
	if o.HTTP != nil {
		*c.http = *o.HTTP
	} else {
		c.http.Transport = defaultTransport()
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.attempts <= 0 {
		c.attempts = defaultAttempts
	}
	return c, nil
}

func defaultTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = attemptTimeout
	return t
}

// Append is Log.Append. A request without an answer, or with one that says the
// leaf may not be durable, is sent again: the ledger knows a leaf it has.
func (c *Client) Append(ctx context.Context, leaf Leaf) (uint64, error) {
	if err := leaf.Validate(); err != nil {
		return 0, err
	}
	var a indexAnswer
	err := c.call(ctx, http.MethodPost, "/v1/append", nil, leaf.Marshal(), &a)
	if conflict := new(ConflictError); errors.As(err, &conflict) {
		if r, ok := leaf.(Ranged); ok {
			conflict.Leaf = r.Span()
		}
	}
	return a.Index, err
}

// Head is Log.Head.
func (c *Client) Head(ctx context.Context, k Key) (Head, bool, error) {
	var a headAnswer
	if err := c.call(ctx, http.MethodGet, "/v1/head", keyQuery(k), nil, &a); err != nil {
		return Head{}, false, err
	}
	return Head{Index: a.Index, First: a.First, Last: a.Last}, a.Exists, nil
}

// Checkpoint is Log.Checkpoint. The signature is not checked.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	var note []byte
	err := c.retry(ctx, func() error {
		resp, err := c.send(ctx, http.MethodGet, "/checkpoint", nil, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		note, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return asUnavailable(err)
	})
	return note, err
}

// Leaves is Log.Leaves. It is not tried again once a leaf was yielded.
func (c *Client) Leaves(ctx context.Context, k Key, from int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		q := keyQuery(k)
		q.Set("from", strconv.FormatInt(from, 10))
		var resp *http.Response
		err := c.retry(ctx, func() (err error) {
			resp, err = c.send(ctx, http.MethodGet, "/v1/leaves", q, nil)
			return err
		})
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer resp.Body.Close()
		readLeaves(resp.Body, yield)
	}
}

// readLeaves yields an error unless the answer has its last line.
func readLeaves(body io.Reader, yield func(Entry, error) bool) {
	in := json.NewDecoder(body)
	for {
		var line leafLine
		if err := in.Decode(&line); err != nil {
			yield(Entry{}, fmt.Errorf("%w: leaves cut off: %w", ErrUnavailable, err))
			return
		}
		if line.End {
			return
		}
		if line.Error != "" {
			yield(Entry{}, fmt.Errorf("%w: %s", ErrUnavailable, line.Error))
			return
		}
		leaf, err := ParseLeaf([]byte(line.Leaf))
		if err != nil {
			yield(Entry{}, fmt.Errorf("leaf at index %d: %w", line.Index, err))
			return
		}
		if !yield(Entry{Index: line.Index, Leaf: leaf}, nil) {
			return
		}
	}
}

func keyQuery(k Key) url.Values {
	return url.Values{
		"source":    {k.Source},
		"topic":     {k.Topic},
		"partition": {strconv.Itoa(int(k.Partition))},
	}
}

// call sends a request and decodes its JSON answer.
func (c *Client) call(ctx context.Context, method, path string, q url.Values, body []byte, answer any) error {
	return c.retry(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		resp, err := c.send(ctx, method, path, q, body)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return asUnavailable(json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer))
	})
}

// retry repeats f while it fails with ErrUnavailable, until ctx ends or the process stops (package drain).
func (c *Client) retry(ctx context.Context, f func() error) error {
	pause := firstBackoff
	for n := 1; ; n++ {
		err := f()
		if !errors.Is(err, ErrUnavailable) || n == c.attempts {
			return err
		}
		// Half fixed, half random, so that workers do not come back in step.
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-t.C:
		case <-drain.Stopping(ctx):
			t.Stop()
			return err
		case <-ctx.Done():
			t.Stop()
			return err
		}
		pause = min(2*pause, maxBackoff)
	}
}

// send returns the answer if its status is 200. The caller closes the body.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, body []byte) (*http.Response, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, asUnavailable(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, answerError(resp)
}

func answerError(resp *http.Response) error {
	var a headAnswer
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err := json.Unmarshal(text, &a); err != nil {
		a.Error = fmt.Sprintf("%.200q", text) // not from a ledger, perhaps a proxy
	}
	switch resp.StatusCode {
	case http.StatusConflict:
		return &ConflictError{Exists: a.Exists, Head: Head{Index: a.Index, First: a.First, Last: a.Last}}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: ledger says: %s", ErrInvalidLeaf, a.Error)
	case http.StatusGone:
		return fmt.Errorf("%w: ledger says: %s", ErrSaltKeyGone, a.Error)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %s", ErrUnauthorized, a.Error)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w: ledger says: %s", ErrUnavailable, a.Error)
	}
	return fmt.Errorf("ledger answered %s: %s", resp.Status, a.Error)
}

func asUnavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
