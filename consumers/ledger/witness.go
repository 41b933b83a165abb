package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"
)

// witnessTimeout is how long a checkpoint waits for its cosignatures. The next one tries again.
const witnessTimeout = 5 * time.Second

// ErrNotCosigned means that the published checkpoint, if there is one, lacks the cosignatures of the quorum.
var ErrNotCosigned = errors.New("no checkpoint is cosigned by the quorum of witnesses")

// Witness is somebody who cosigns checkpoints (C2SP tlog-witness) and so cannot be shown another history later.
type Witness struct {
	URL string // /add-checkpoint is below it
	Key string // cosignature/v1 verifier key, as the witness prints it
}

// quorumOf returns the number of witnesses that have to cosign.
func quorumOf(witnesses []Witness, quorum int) (int, error) {
	if quorum < 0 || quorum > len(witnesses) {
		return 0, fmt.Errorf("a quorum of %d among %d witnesses", quorum, len(witnesses))
	}
	if quorum == 0 {
		return len(witnesses), nil
	}
	return quorum, nil
}

// withWitnesses has every checkpoint cosigned before it is published.
func (l *Log) withWitnesses(opts *tessera.AppendOptions, o Options) (err error) {
	if l.quorum, err = quorumOf(o.Witnesses, o.Quorum); err != nil || len(o.Witnesses) == 0 {
		return err
	}
	l.witnesses = nil
	group := tessera.WitnessGroup{N: l.quorum}
	for _, w := range o.Witnesses {
		u, err := url.Parse(w.URL)
		if err != nil {
			return fmt.Errorf("witness %q: %w", w.URL, err)
		}
		member, err := tessera.NewWitness(w.Key, u)
		if err != nil {
			return fmt.Errorf("key of witness %s: %w", w.URL, err)
		}
		if slices.ContainsFunc(l.witnesses, func(v note.Verifier) bool { return v.KeyHash() == member.Key.KeyHash() }) {
			return fmt.Errorf("witness %s: its key is given twice", w.URL)
		}
		l.witnesses = append(l.witnesses, member.Key)
		group.Components = append(group.Components, member)
	}
	opts.WithWitnesses(group, &tessera.WitnessOptions{Timeout: witnessTimeout})
	return nil
}

// Witnesses returns the number of witnesses.
func (l *Log) Witnesses() int { return len(l.witnesses) }

// Published returns when the last checkpoint was published.
func (l *Log) Published() (time.Time, error) {
	info, err := os.Stat(l.treePath(layout.CheckpointPath))
	if err != nil {
		return time.Time{}, fmt.Errorf("checkpoint: %w", err)
	}
	return info.ModTime(), nil
}

// Cosigned returns when the published checkpoint was cosigned by the quorum: the time of the latest signature that made
// it one, by that witness's clock. The error is ErrNotCosigned where that is not so or there are no witnesses.
func (l *Log) Cosigned(ctx context.Context) (time.Time, error) {
	raw, err := l.reader.ReadCheckpoint(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, ErrNotCosigned
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read checkpoint: %w", err)
	}
	return cosigned(raw, l.witnesses, l.quorum)
}

func cosigned(raw []byte, witnesses []note.Verifier, quorum int) (time.Time, error) {
	if quorum == 0 {
		return time.Time{}, ErrNotCosigned
	}
	n, err := note.Open(raw, note.VerifierList(witnesses...))
	if err != nil || len(n.Sigs) < quorum {
		return time.Time{}, ErrNotCosigned
	}
	times := make([]time.Time, 0, len(n.Sigs))
	for _, sig := range n.Sigs {
		at, err := cosignature.CoSigV1Timestamp(sig)
		if err != nil {
			return time.Time{}, fmt.Errorf("cosignature of %s: %w", sig.Name, err)
		}
		times = append(times, at)
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	return times[quorum-1], nil
}
