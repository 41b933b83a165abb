package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/ledger"
)

// forgery is a log that somebody with the signing key writes as he likes, without the program that keeps to the rules.
type forgery struct {
	t      testing.TB
	origin string
	signer note.Signer
	texts  [][]byte
}

// forge starts from the leaves of the rig's log and its key.
func (r *rig) forge() *forgery {
	secret, err := os.ReadFile(filepath.Join(r.ledger, "signing.key"))
	r.must(err)
	signer, err := note.NewSigner(strings.TrimSpace(string(secret)))
	r.must(err)
	return &forgery{t: r.t, origin: signer.Name(), signer: signer, texts: r.texts()}
}

// texts are the leaves of the rig's log.
func (r *rig) texts() (texts [][]byte) {
	for _, e := range r.entries() {
		texts = append(texts, e.Leaf.Marshal())
	}
	return texts
}

func (r *rig) entries() []ledger.Entry {
	trust, err := openTrust(r.key(), "", 0, 0)
	r.must(err)
	report := &Report{}
	l := &evidenceLog{files: folder(r.tlog()), trust: trust, report: report}
	good, err := l.open(context.Background(), &State{})
	r.must(err)
	if !good {
		r.t.Fatalf("the log of the rig: %v", report.Findings)
	}
	return l.leaves
}

// write writes the log and returns its folder.
func (f *forgery) write() string {
	f.t.Helper()
	dir := f.t.TempDir()
	var m merkle
	for _, text := range f.texts {
		if err := m.add(text); err != nil {
			f.t.Fatal(err)
		}
	}
	root, err := m.root()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, m.size) {
		data, err := tlog.ReadTileData(tile, &m)
		if err != nil {
			f.t.Fatal(err)
		}
		f.put(dir, "tile/"+strings.TrimPrefix(tile.Path(), "tile/8/"), data)
	}
	for first := 0; first < len(f.texts); first += tileWidth {
		var data []byte
		width := min(len(f.texts)-first, tileWidth)
		for _, text := range f.texts[first : first+width] {
			data = append(binary.BigEndian.AppendUint16(data, uint16(len(text))), text...)
		}
		tile := tlog.Tile{H: tileHeight, L: -1, N: int64(first / tileWidth), W: width}
		f.put(dir, strings.Replace(tile.Path(), "tile/8/data", "tile/entries", 1), data)
	}
	body := strings.Replace(string(tlog.FormatTree(tlog.Tree{N: m.size, Hash: root})), "go.sum database tree", f.origin, 1)
	signed, err := note.Sign(&note.Note{Text: body}, f.signer)
	if err != nil {
		f.t.Fatal(err)
	}
	f.put(dir, "checkpoint", signed)
	return dir
}

func (f *forgery) put(dir, name string, data []byte) {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// change replaces the leaf at an index by what do makes of it.
func (f *forgery) change(index uint64, do func(ledger.Batch) ledger.Leaf) {
	leaf, err := ledger.ParseLeaf(f.texts[index])
	if err != nil {
		f.t.Fatal(err)
	}
	f.texts[index] = do(leaf.(ledger.Batch)).Marshal()
}

func otherSigner(t testing.TB, name string) note.Signer {
	secret, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// witness is the public key of a witness that has signed nothing.
func (r *rig) witness(t testing.TB) string {
	key, _ := newWitness(t, "witness.example")
	file := filepath.Join(t.TempDir(), "witness")
	r.must(os.WriteFile(file, []byte(key+"\n"), 0o600))
	return file
}

// newWitness makes a witness's keys, the public one in the form of C2SP tlog-cosignature.
func newWitness(t testing.TB, name string) (string, ed25519.PrivateKey) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := append([]byte{algCosignature}, public...)
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(key)), private
}
