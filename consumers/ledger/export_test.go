package ledger

import (
	"github.com/transparency-dev/tessera"
	"golang.org/x/mod/sumdb/note"
)

// WrapAdd lets a test put faults between the log and its files.
func (l *Log) WrapAdd(wrap func(tessera.AddFn) tessera.AddFn) { l.add = wrap(l.add) }

// Guard is the signer that a log gives to Tessera.
type Guard = guard

func NewGuard(s note.Signer) *Guard { return &guard{Signer: s} }
func (g *guard) OpenAt(size uint64) { g.open(size) }
func (g *guard) CloseForGood()      { g.close() }

// TileWithin says whether a log of that size serves the tile at path.
func TileWithin(path string, size uint64) (bool, error) {
	id, err := parseTile(path)
	return err == nil && id.within(size), err
}
