package ledger_test

import (
	"context"
	"errors"
	"iter"
	"net/http/httptest"
	"reflect"
	"testing"

	"borderwatch/consumers/ledger"
)

const token = "a test token, not a secret"

// reader is the other half of what Log and Client share.
type reader interface {
	writer
	Leaves(context.Context, ledger.Key, int64) iter.Seq2[ledger.Entry, error]
	Checkpoint(context.Context) ([]byte, error)
}

var (
	_ reader = (*ledger.Log)(nil)
	_ reader = (*ledger.Client)(nil)
)

// serve starts a server for the log and returns its address.
func serve(t testing.TB, l *ledger.Log) string {
	t.Helper()
	s, err := ledger.NewServer(l, ledger.ServerOptions{Tokens: []string{token}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

func client(t testing.TB, address string) *ledger.Client {
	t.Helper()
	c, err := ledger.NewClient(address, ledger.ClientOptions{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestConformance runs one suite over the log and over its client.
func TestConformance(t *testing.T) {
	implementations := map[string]func(*testing.T) reader{
		"log":    func(t *testing.T) reader { return open(t, t.TempDir()) },
		"client": func(t *testing.T) reader { return client(t, serve(t, open(t, t.TempDir()))) },
	}
	suite := map[string]func(*testing.T, reader){
		"compare and swap": testCompareAndSwap,
		"repeat":           testRepeat,
		"invalid leaf":     testInvalidLeaf,
		"leaves":           testLeaves,
		"leaves stop":      testLeavesStop,
		"checkpoint":       testCheckpoint,
	}
	for name, start := range implementations {
		for test, run := range suite {
			t.Run(name+"/"+test, func(t *testing.T) { run(t, start(t)) })
		}
	}
}

func testCompareAndSwap(t *testing.T, r reader) {
	head := ledger.Head{Index: 0, First: 100, Last: 199} // of partition 0
	tests := []struct {
		name   string
		leaf   ledger.Ranged
		exists bool // in the conflict
		head   ledger.Head
		ok     bool
	}{
		{"first leaf names a previous one", batch(0, 100, 199, 5), false, ledger.Head{}, false},
		{"first leaf starts anywhere", batch(0, 100, 199, -1), false, ledger.Head{}, true},
		{"same range, other content", alerting(batch(0, 100, 199, -1)), true, head, false},
		{"overlap", batch(0, 150, 250, 0), true, head, false},
		{"before", batch(0, 0, 99, 0), true, head, false},
		{"hole", batch(0, 201, 250, 0), true, head, false},
		{"wrong previous leaf", batch(0, 200, 250, 7), true, head, false},
		{"no previous leaf", batch(0, 200, 250, -1), true, head, false},
		{"other partition", batch(1, 0, 9, -1), false, ledger.Head{}, true},
		{"other source", ledger.Gap{Source: "kafka:c1/1", Topic: "access-events", First: 3, Last: 3,
			Reason: "r", BatchTime: testTime, Prev: -1}, false, ledger.Head{}, true},
		{"gap continues", gap(0, 200, 250, 0), false, ledger.Head{}, true},
		{"batch after gap", batch(0, 251, 251, 3), false, ledger.Head{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := r.Append(t.Context(), tt.leaf)
			if tt.ok {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			want := ledger.ConflictError{Leaf: tt.leaf.Span(), Exists: tt.exists, Head: tt.head}
			got := new(ledger.ConflictError)
			if !errors.As(err, &got) || *got != want {
				t.Errorf("error %v, want %v", err, &want)
			}
		})
	}
	wantHead(t, r, batch(0, 0, 0, -1).Span().Key, ledger.Head{Index: 4, First: 251, Last: 251})
	if h, ok, err := r.Head(t.Context(), batch(9, 0, 0, -1).Span().Key); ok || err != nil {
		t.Errorf("head of a partition without leaves: %+v, %v, %v", h, ok, err)
	}
}

func alerting(b ledger.Batch) ledger.Batch {
	b.Alerts++
	return b
}

func testRepeat(t *testing.T, r reader) {
	leaves := []ledger.Leaf{batch(0, 0, 9, -1), gap(1, 0, 9, -1), activation(), startup()}
	for want := range leaves {
		for range 3 {
			if got := mustAppend(t, r, leaves[want]); got != int64(want) {
				t.Errorf("%T has index %d, want %d", leaves[want], got, want)
			}
		}
	}
	mustAppend(t, r, batch(0, 10, 19, 0))
	if _, err := r.Append(t.Context(), leaves[0]); !errors.As(err, new(*ledger.ConflictError)) {
		t.Errorf("repeat of a leaf that is no longer the head: error %v, want a conflict", err)
	}
}

func testInvalidLeaf(t *testing.T, r reader) {
	bad := batch(0, 0, 9, -1)
	bad.Events--
	if _, err := r.Append(t.Context(), bad); !errors.Is(err, ledger.ErrInvalidLeaf) {
		t.Errorf("error %v, want ErrInvalidLeaf", err)
	}
	if got := mustAppend(t, r, batch(0, 0, 9, -1)); got != 0 {
		t.Errorf("the next leaf has index %d, want 0", got)
	}
}

// testLeaves spreads a partition over several entry bundles.
func testLeaves(t *testing.T, r reader) {
	const n = 300
	var all []ledger.Entry
	prev, other := int64(-1), int64(-1)
	for i := range int64(n) {
		var leaf ledger.Leaf = batch(3, 10*i, 10*i+9, prev)
		if i%7 == 3 {
			leaf = gap(3, 10*i, 10*i+9, prev)
		}
		prev = mustAppend(t, r, leaf)
		all = append(all, ledger.Entry{Index: uint64(prev), Leaf: leaf})
		if i%3 == 0 {
			other = mustAppend(t, r, batch(4, i, i+2, other))
		}
	}
	tests := []struct {
		name string
		from int64
		want []ledger.Entry
	}{
		{"all", 0, all},
		{"from the middle of a leaf", 1505, all[150:]},
		{"from the first offset of a leaf", 1500, all[150:]},
		{"the head", 2999, all[n-1:]},
		{"beyond the head", 3000, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := collect(t, r, batch(3, 0, 0, -1).Span().Key, tt.from)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%d leaves, want %d, or others", len(got), len(tt.want))
			}
		})
	}
	if got := collect(t, r, batch(5, 0, 0, -1).Span().Key, 0); got != nil {
		t.Errorf("a partition without leaves has %d", len(got))
	}
}

func collect(t *testing.T, r reader, k ledger.Key, from int64) (entries []ledger.Entry) {
	t.Helper()
	for e, err := range r.Leaves(t.Context(), k, from) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

func testLeavesStop(t *testing.T, r reader) {
	mustAppend(t, r, batch(0, 10, 19, mustAppend(t, r, batch(0, 0, 9, -1))))
	k := batch(0, 0, 0, -1).Span().Key
	for e, err := range r.Leaves(t.Context(), k, 0) {
		if err != nil || e.Index != 0 {
			t.Errorf("entry %+v, %v, want index 0", e, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failed := false
	for _, err := range r.Leaves(ctx, k, 0) {
		failed = err != nil
	}
	if !failed {
		t.Error("a cancelled context is no error")
	}
}

func testCheckpoint(t *testing.T, r reader) {
	mustAppend(t, r, batch(0, 0, 9, -1))
	raw, err := r.Checkpoint(t.Context())
	if err != nil || len(raw) == 0 {
		t.Errorf("checkpoint %q, %v", raw, err)
	}
}
