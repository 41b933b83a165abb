package ledger_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/consumers/ledger"
)

// TestGuard steps through the life of a log: nothing is signed before it was
// checked, nothing smaller than before, and nothing after the end.
func TestGuard(t *testing.T) {
	secret, _, err := note.GenerateKey(rand.Reader, "ledger.example/test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	g := ledger.NewGuard(signer)
	steps := []struct {
		name string
		do   func()
		size int
		ok   bool
	}{
		{"before the check", func() {}, 10, false},
		{"smaller than what was checked", func() { g.OpenAt(10) }, 9, false},
		{"as large", func() {}, 10, true},
		{"larger", func() {}, 12, true},
		{"republished", func() {}, 12, true},
		{"rolled back", func() {}, 11, false},
		{"after the end", g.CloseForGood, 13, false},
	}
	for _, s := range steps {
		s.do()
		_, err := g.Sign(fmt.Appendf(nil, "ledger.example/test\n%d\nAAAA\n", s.size))
		if (err == nil) != s.ok {
			t.Errorf("%s: error %v, want signed: %v", s.name, err, s.ok)
		}
	}
	if _, err := g.Sign([]byte("not a checkpoint\n")); err == nil {
		t.Error("signed something else than a checkpoint")
	}
}

func TestTileWithin(t *testing.T) {
	tests := []struct {
		path string
		size uint64
		want bool
	}{
		{"entries/000", 255, false},
		{"entries/000", 256, true},
		{"entries/000.p/7", 6, false},
		{"entries/000.p/7", 7, true},
		{"entries/001.p/1", 256, false},
		{"entries/001.p/1", 257, true},
		{"0/000", 256, true},
		{"1/000.p/1", 255, false},
		{"1/000.p/1", 256, true},
		{"1/000", 65535, false},
		{"1/000", 65536, true},
		{"7/000.p/1", 1 << 56, true},
		{"8/000.p/1", 1<<64 - 1, false},
		{"0/x999/x999/x999/x999/x999/x999/999", 1 << 40, false},
	}
	for _, tt := range tests {
		got, err := ledger.TileWithin(tt.path, tt.size)
		if got != tt.want {
			t.Errorf("%s in %d leaves: %v, %v, want %v", tt.path, tt.size, got, err, tt.want)
		}
	}
}
