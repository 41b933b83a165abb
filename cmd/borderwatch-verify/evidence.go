package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"borderwatch/consumers/ledger"
)

// The evidence of a finding is a file that speaks for itself: whoever holds the log's public key can check the signatures
// and proofs in it without the operator.

// checkpoints are signed statements that contradict each other, or one that contradicts the log's files.
type checkpoints struct {
	LogKey      string   `json:"log_key"`
	Checkpoints []string `json:"checkpoints"` // signed notes
}

func checkpointsEvidence(t *trust, list ...*checkpoint) checkpoints {
	c := checkpoints{LogKey: t.key}
	for _, x := range list {
		c.Checkpoints = append(c.Checkpoints, string(x.text))
	}
	return c
}

// Proved is a leaf with the proof that it is in the log under a signed checkpoint (RFC 6962, section 2.1.1).
type Proved struct {
	Index uint64           `json:"index"`
	Leaf  string           `json:"leaf"`
	Proof tlog.RecordProof `json:"proof"`
}

func (l *evidenceLog) proved(entry ledger.Entry) (Proved, error) {
	proof, err := l.proof(entry.Index)
	return Proved{Index: entry.Index, Leaf: string(entry.Leaf.Marshal()), Proof: proof}, err
}

// rowEvidence is what is stored at offsets of a recorded batch, against the leaf that was signed before it was stored.
type rowEvidence struct {
	LogKey     string      `json:"log_key"`
	Checkpoint string      `json:"checkpoint"`
	Recorded   []Proved    `json:"recorded"`
	Stored     []storedRow `json:"stored"`           // the first rows that differ
	Judged     []storedRow `json:"judged,omitempty"` // what judging again comes to
	Note       string      `json:"note,omitempty"`
}

// storedRow is one row in its canonical form, which schemas/README.md describes.
type storedRow struct {
	Table     string            `json:"table"`
	Offset    int64             `json:"offset"`
	Batch     string            `json:"batch_id,omitempty"`
	Salt      []byte            `json:"salt,omitempty"`
	Canonical []byte            `json:"canonical"`
	Columns   map[string]string `json:"columns,omitempty"` // the same for people
}

func (l *evidenceLog) rows(leaves []ledger.Entry, stored, judged []storedRow) *rowEvidence {
	e := &rowEvidence{LogKey: l.trust.key, Checkpoint: string(l.head.text), Stored: stored, Judged: judged}
	for _, leaf := range leaves {
		p, err := l.proved(leaf)
		if err != nil {
			e.Note = err.Error()
			continue
		}
		e.Recorded = append(e.Recorded, p)
	}
	return e
}

// writeEvidence writes a file for each finding and names it there.
func (r *Report) writeEvidence(dir string) error {
	if dir == "" || len(r.Findings) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.File = fmt.Sprintf("%04d-%s.json", i+1, f.Kind)
		text, err := json.MarshalIndent(struct {
			Finding
			Evidence any `json:"proof,omitempty"`
		}{*f, f.Evidence}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.File), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
