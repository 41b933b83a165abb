package ledger

import "github.com/transparency-dev/tessera"

// WrapAdd lets a test put faults between the log and its files.
func (l *Log) WrapAdd(wrap func(tessera.AddFn) tessera.AddFn) { l.add = wrap(l.add) }
