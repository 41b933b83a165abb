package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// State is what the partner keeps between runs, where the operator cannot reach it. It makes a log that is rolled back or
// written anew visible, and lets the next run read only what is new.
type State struct {
	Checkpoint string   `json:"checkpoint"` // the last one that was consistent with all before it
	Size       int64    `json:"size"`
	Root       string   `json:"root"`
	Done       Progress `json:"done"`
}

// Progress is how far everything was checked without a finding.
type Progress struct {
	Size    int64             `json:"size"` // leaves
	Edge    map[string]string `json:"edge"` // hashes of the log that the next leaves go on from, by their index
	Chains  []chainState      `json:"partitions"`
	Bundles []string          `json:"bundles"` // that have an activation in the log
	Feeds   []feedState       `json:"feeds"`
	Builds  []Build           `json:"builds"`
}

// chainState is where a partition's leaves have come to.
type chainState struct {
	Source    string `json:"source"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	First     int64  `json:"first"` // of the first leaf
	Last      int64  `json:"last"`  // of the last leaf
	Index     uint64 `json:"index"` // of the last leaf
	Bundle    string `json:"bundle,omitempty"`
	Events    int64  `json:"events"`
	Letters   int64  `json:"dead_letters"`
	Batches   int64  `json:"batches"`
}

// readState reads the state, an empty one where there is none yet.
func readState(file string) (*State, error) {
	s := &State{}
	if file == "" {
		return s, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("state %s: %w", file, err)
	}
	return s, nil
}

// save replaces the file whole or not at all.
func (s *State) save(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (s *State) checkpoint() *checkpoint {
	return &checkpoint{text: []byte(s.Checkpoint), size: s.Size}
}

// keep takes over a checkpoint that continues the kept one.
func (s *State) keep(c *checkpoint) {
	s.Checkpoint, s.Size, s.Root = string(c.text), c.size, c.root.String()
}

func (p *Progress) edge() map[int64]tlog.Hash {
	edge := make(map[int64]tlog.Hash, len(p.Edge))
	for index, text := range p.Edge {
		at, err := strconv.ParseInt(index, 10, 64)
		hash, errHash := tlog.ParseHash(text)
		if err == nil && errHash == nil {
			edge[at] = hash
		}
	}
	return edge
}

// advance says that everything under the log that was read is good.
func (p *Progress) advance(m *merkle) error {
	edge, err := m.edge()
	if err != nil {
		return err
	}
	p.Size, p.Edge = m.size, map[string]string{}
	for at, hash := range edge {
		p.Edge[strconv.FormatInt(at, 10)] = hash.String()
	}
	return nil
}
