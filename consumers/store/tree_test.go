package store

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// treeHashes are the hashes of a tree, for tlog.
type treeHashes []tlog.Hash

func (h treeHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = h[index]
	}
	return out, nil
}

// TestTreeIsRFC6962 compares every root up to 300 leaves with the one that the Go checksum database computes.
func TestTreeIsRFC6962(t *testing.T) {
	var own tree
	var other treeHashes
	if own.root() != sha256.Sum256(nil) {
		t.Error("the root of nothing is not the hash of nothing")
	}
	for n := range int64(300) {
		data := fmt.Appendf(nil, "row %d", n)
		own.add(sha256.Sum256(append([]byte{0}, data...)))
		stored, err := tlog.StoredHashes(n, data, other)
		if err != nil {
			t.Fatal(err)
		}
		other = append(other, stored...)
		want, err := tlog.TreeHash(n+1, other)
		if err != nil {
			t.Fatal(err)
		}
		if got := own.root(); got != want {
			t.Fatalf("root of %d leaves is %x, want %x", n+1, got, want)
		}
	}
	own.reset()
	if own.root() != sha256.Sum256(nil) {
		t.Error("a reset leaves something")
	}
}

// TestSaltsFollowFromTheKey holds what a takeover relies on: the same key, partition and offset give the same salt, and
// everything else another one.
func TestSaltsFollowFromTheKey(t *testing.T) {
	at := func(day byte, source, topic string, partition int32, offset int64) string {
		return fmt.Sprintf("%x", *NewSalts([32]byte{day}, source, topic, partition).at(offset))
	}
	same := at(1, "s", "t", 2, 3)
	if again := at(1, "s", "t", 2, 3); again != same {
		t.Errorf("salt %s, then %s", same, again)
	}
	for name, other := range map[string]string{
		"day": at(2, "s", "t", 2, 3), "source": at(1, "r", "t", 2, 3), "topic": at(1, "s", "u", 2, 3),
		"partition": at(1, "s", "t", 3, 3), "offset": at(1, "s", "t", 2, 4),
	} {
		if other == same {
			t.Errorf("another %s has the same salt", name)
		}
	}
}
