package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/ledger"
)

// maxCheckpoint bounds a checkpoint, which is a few hundred bytes.
const maxCheckpoint = 64 << 10

// tileHeight and tileWidth are those of C2SP tlog-tiles.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// readLog returns all leaves under the signed checkpoint of the log in dir, having checked that their root is the signed
// one. A wrong signature or root is a finding and no error.
func readLog(dir, keyFile string, report *Report) ([]ledger.Entry, error) {
	size, root, err := readCheckpoint(dir, keyFile, report)
	if err != nil || len(report.Findings) > 0 {
		return nil, err
	}
	texts, err := readEntries(dir, size)
	if err != nil {
		return nil, err
	}
	report.LogSize = size
	if got, err := rootOf(texts); err != nil {
		return nil, err
	} else if got != root {
		report.find("log_root", "log", "the %d leaves have the root %s, the signed checkpoint says %s", size, got, root)
		return nil, nil
	}
	entries := make([]ledger.Entry, 0, size)
	for i, text := range texts {
		leaf, err := ledger.ParseLeaf(text)
		if err != nil {
			report.find("leaf", fmt.Sprintf("log index %d", i), "%v", err)
			continue
		}
		entries = append(entries, ledger.Entry{Index: uint64(i), Leaf: leaf})
	}
	return entries, nil
}

// readCheckpoint opens the signed checkpoint: origin, size and root, a line each.
func readCheckpoint(dir, keyFile string, report *Report) (size uint64, root tlog.Hash, err error) {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return 0, root, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return 0, root, fmt.Errorf("public key %s: %w", keyFile, err)
	}
	text, err := readFile(filepath.Join(dir, "checkpoint"), maxCheckpoint)
	if err != nil {
		return 0, root, err
	}
	signed, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		report.find("signature", "checkpoint", "%v", err)
		return 0, root, nil
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) < 3 || lines[0] != verifier.Name() {
		report.find("checkpoint", "checkpoint", "its origin is not %s", verifier.Name())
		return 0, root, nil
	}
	if size, err = strconv.ParseUint(lines[1], 10, 63); err == nil {
		root, err = tlog.ParseHash(lines[2])
	}
	if err != nil {
		report.find("checkpoint", "checkpoint", "%v", err)
	}
	return size, root, nil
}

// readEntries reads the entry bundles: 256 entries a file, each with its length in two bytes before it.
func readEntries(dir string, size uint64) ([][]byte, error) {
	texts := make([][]byte, 0, size)
	for first := uint64(0); first < size; first += tileWidth {
		width := min(size-first, tileWidth)
		data, err := readBundle(dir, int64(first/tileWidth), int(width))
		if err != nil {
			return nil, err
		}
		for range width {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("entry bundle %d of the log is cut off", first/tileWidth)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			texts = append(texts, data[2:end])
			data = data[end:]
		}
	}
	return texts, nil
}

// readBundle reads the entry bundle of that number with at least width entries: the partial one, or the full one that
// has replaced it since.
func readBundle(dir string, number int64, width int) ([]byte, error) {
	const maxBundle = tileWidth * (2 + 1<<16)
	for _, w := range []int{width, tileWidth} {
		tile := tlog.Tile{H: tileHeight, L: -1, N: number, W: w}
		name := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/data", tileHeight), "tile/entries", 1)
		data, err := readFile(filepath.Join(dir, filepath.FromSlash(name)), maxBundle)
		if err == nil || w == tileWidth || !os.IsNotExist(err) {
			return data, err
		}
	}
	return nil, nil
}

func readFile(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", name, info.Size(), most)
	}
	return os.ReadFile(name)
}

// hashes keeps the hashes of a log in memory, for tlog's computation of the root.
type hashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(h)) {
			return nil, fmt.Errorf("hash %d is not among %d", index, len(h))
		}
		out[i] = h[index]
	}
	return out, nil
}

// rootOf computes the Merkle root of RFC 6962 with the code of the Go checksum database, which shares nothing with the
// writer's.
func rootOf(texts [][]byte) (tlog.Hash, error) {
	var all hashes
	for i, text := range texts {
		stored, err := tlog.StoredHashes(int64(i), text, all)
		if err != nil {
			return tlog.Hash{}, err
		}
		all = append(all, stored...)
	}
	return tlog.TreeHash(int64(len(texts)), all)
}
