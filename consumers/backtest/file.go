package backtest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"borderwatch/consumers/decode"
	"borderwatch/consumers/store"
	"borderwatch/rules/impact"
	"borderwatch/schemas/access"
)

// fileBatch is how many lines are judged before they are added up.
const fileBatch = 10_000

// Lines is what a file of events came to.
type Lines struct {
	SHA256  string // of the file, hexadecimal
	Refused uint64 // lines that a worker would send to the dead letters
	First   error  // why the first of them
}

// File judges a file with one record a line, read by the named adapter. Each record's Kafka time is taken to be its own.
// Events of a file are always completed by the files of the bundle that judges. With a Span, those outside are not judged.
func (r *Run) File(ctx context.Context, in io.Reader, adapter string) (*impact.Total, Lines, error) {
	anew := *r
	anew.References = Anew
	decoder, err := decode.New(adapter, decode.Feed{Name: "file", Scope: "file"})
	if err != nil {
		return nil, Lines{}, err
	}
	hash := sha256.New()
	lines := bufio.NewScanner(io.TeeReader(in, hash))
	lines.Buffer(make([]byte, 0, 1<<16), decode.DefaultMaxBytes+1)
	f := &fileRun{span: r.Span, decoder: decoder, sides: anew.newSides(), total: impact.NewTotal(r.Options)}
	for n := int64(1); lines.Scan(); n++ {
		if err := f.line(n, lines.Bytes()); err != nil {
			return nil, Lines{}, err
		}
		if n%fileBatch == 0 {
			if f.flush(); ctx.Err() != nil {
				return nil, Lines{}, context.Cause(ctx)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, Lines{}, fmt.Errorf("a line of the file: %w", err)
	}
	f.flush()
	f.lines.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return f.total, f.lines, nil
}

type fileRun struct {
	span      store.Span // zero for all times
	decoder   decode.Decoder
	sides     *sides
	total     *impact.Total
	collected impact.Collected
	lines     Lines
	event     access.Event
	scratch   []byte
}

func (f *fileRun) line(n int64, value []byte) error {
	if len(value) == 0 {
		return nil
	}
	ev := &f.event
	ev.Reset()
	ev.Source.Feed, ev.Source.Scope = "file", "file"
	err := f.decoder.Decode(&decode.Record{Value: value}, ev)
	var bad *decode.Malformed
	if errors.As(err, &bad) {
		if f.lines.Refused++; f.lines.First == nil {
			f.lines.First = fmt.Errorf("line %d: %s: %w", n, bad.Code, bad)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if f.span != (store.Span{}) && (ev.Time < f.span.From || ev.Time >= f.span.Until) {
		return nil
	}
	ev.Kafka = access.Position{Offset: n, Timestamp: ev.Time}
	var content access.Digest
	content, f.scratch = ev.ContentDigest(f.scratch)
	f.sides.compare(&f.collected, ev, content, nil)
	return nil
}

func (f *fileRun) flush() {
	f.total.Add(&f.collected)
	f.collected.Reset()
}
