package ledger_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tileReader reads Tessera's tiles for package tlog, which shares no code with
// Tessera. The paths differ in the height: tile/8/0/… there, tile/0/… here.
type tileReader func(path string) ([]byte, error)

func (r tileReader) Height() int                     { return 8 }
func (r tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tileReader) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		b, err := r("tile/" + strings.TrimPrefix(t.Path(), "tile/8/"))
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	return data, nil
}

func parseCheckpoint(t testing.TB, raw []byte, vkey string) tlog.Tree {
	t.Helper()
	v, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(raw, note.VerifierList(v))
	if err != nil {
		t.Fatalf("checkpoint %q: %v", raw, err)
	}
	lines := strings.Split(n.Text, "\n")
	if lines[0] != v.Name() {
		t.Errorf("checkpoint of origin %q, want %q", lines[0], v.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := tlog.ParseHash(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: hash}
}

func cached(read tileReader) tileReader {
	files := map[string][]byte{}
	return func(path string) ([]byte, error) {
		if data, ok := files[path]; ok {
			return data, nil
		}
		data, err := read(path)
		if err == nil {
			files[path] = data
		}
		return data, err
	}
}

// verifyTree proves every leaf to be in the tree and returns the leaves.
func verifyTree(t testing.TB, read tileReader, tree tlog.Tree) [][]byte {
	t.Helper()
	read = cached(read)
	hashes := tlog.TileHashReader(tree, read)
	var leaves [][]byte
	for n := int64(0); n < tree.N; n += 256 {
		leaves = append(leaves, readEntries(t, read, tree.N, n/256)...)
	}
	if int64(len(leaves)) != tree.N {
		t.Fatalf("%d leaves under a checkpoint for %d", len(leaves), tree.N)
	}
	for i, leaf := range leaves {
		proof, err := tlog.ProveRecord(tree.N, int64(i), hashes)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(leaf)); err != nil {
			t.Fatalf("leaf %d: %v", i, err)
		}
	}
	return leaves
}

func readEntries(t testing.TB, read tileReader, size, bundle int64) (leaves [][]byte) {
	t.Helper()
	tile := tlog.Tile{H: 8, L: 0, N: bundle, W: int(min(256, size-256*bundle))}
	raw, err := read("tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/0/"))
	if err != nil {
		t.Fatal(err)
	}
	for len(raw) > 2 {
		n := int(binary.BigEndian.Uint16(raw))
		leaves = append(leaves, raw[2:2+n])
		raw = raw[2+n:]
	}
	return leaves
}

// verifyConsistent proves that the smaller tree is a prefix of the larger one.
func verifyConsistent(t testing.TB, read tileReader, small, large tlog.Tree) {
	t.Helper()
	if small.N == 0 || small.N == large.N {
		return // nothing to prove, or nothing but equality
	}
	proof, err := tlog.ProveTree(large.N, small.N, tlog.TileHashReader(large, read))
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckTree(proof, large.N, large.Hash, small.N, small.Hash); err != nil {
		t.Errorf("tree of %d is not a prefix of tree of %d: %v", small.N, large.N, err)
	}
}

// fileReader reads from the folder that a static file server would serve.
func fileReader(dir string) tileReader {
	return func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, "tlog", path)) }
}

// verifyFiles checks a closed ledger of size leaves from its public files.
func verifyFiles(t testing.TB, dir string, size int64) [][]byte {
	t.Helper()
	vkey, err := os.ReadFile(filepath.Join(dir, "verifier.pub"))
	if err != nil {
		t.Fatal(err)
	}
	read := fileReader(dir)
	tree := parseCheckpoint(t, []byte(checkpointFile(t, dir)), string(vkey))
	if tree.N != size {
		t.Errorf("checkpoint covers %d leaves, want %d", tree.N, size)
	}
	return verifyTree(t, read, tree)
}

func checkpointFile(t testing.TB, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "tlog", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func entriesFile(dir string, partial int) string {
	return filepath.Join(dir, "tlog", "tile", "entries", "000.p", strconv.Itoa(partial))
}

func replaceIn(path, from, to string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := bytes.Replace(raw, []byte(from), []byte(to), 1)
	if bytes.Equal(changed, raw) {
		return fmt.Errorf("%s has no %q", path, from)
	}
	return os.WriteFile(path, changed, 0o644)
}

func TestCheckpointsAreConsistent(t *testing.T) {
	dir := t.TempDir()
	var trees []tlog.Tree
	prev := int64(-1)
	for round := range int64(4) {
		l := open(t, dir)
		for i := range int64(90) {
			first := 90*round + i
			prev = mustAppend(t, l, batch(0, first, first, prev))
		}
		closeLog(t, l)
		trees = append(trees, parseCheckpoint(t, []byte(checkpointFile(t, dir)), l.VerifierKey()))
	}
	last := trees[len(trees)-1]
	if last.N != 360 {
		t.Errorf("last checkpoint covers %d leaves, want 360", last.N)
	}
	for _, tree := range trees {
		verifyConsistent(t, fileReader(dir), tree, last)
	}
	verifyTree(t, fileReader(dir), last)
}
