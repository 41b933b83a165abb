package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// harm is what may have become of a record that is not as it was produced and judged.
type harm int

const (
	lost harm = iota
	doubled
	altered
	misjudged
	harms
)

// findings is what the oracle found of some records.
type findings struct {
	records int
	harm    [harms]int
}

func (f findings) String() string {
	return fmt.Sprintf("%d records: lost %d, doubled %d, altered %d, misjudged %d", f.records, f.harm[lost], f.harm[doubled], f.harm[altered], f.harm[misjudged])
}

// maxReports is how many findings of a kind are printed of a lane; all are counted.
const maxReports = 3

// report counts and prints a finding.
func (o *oracle) report(kind harm, format string, args ...any) {
	o.t.Helper()
	o.lane.found.harm[kind]++
	if o.lane.found.harm[kind] <= maxReports {
		o.t.Errorf(format, args...)
	} else {
		o.t.Fail()
	}
}

// tally adds up runs that may end at the same time.
type tally struct {
	mu              sync.Mutex
	runs, unchecked int
	found           findings
}

// count has the findings of a lane added when its test ends. Runs that ended before the oracle looked are counted apart.
func (s *tally) count(t testing.TB, l *lane, what func() string) {
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.runs++
		if l.found.records == 0 {
			s.unchecked++
			t.Logf("%s: NOT CHECKED", what())
			return
		}
		s.found.records += l.found.records
		for kind, n := range l.found.harm {
			s.found.harm[kind] += n
		}
		t.Logf("%s: %v", what(), l.found)
	})
}

func (s *tally) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d runs, %d of them not checked, %v", s.runs, s.unchecked, s.found)
}

// logBook keeps what workers say, for a test that fails. It is safe for concurrent use.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) logger(worker string) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, nil)).With("worker", worker)
}

// last returns the end of the book, n bytes at most.
func (b *logBook) last(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.Bytes()
	return string(text[max(0, len(text)-n):])
}

// tell prints what is needed to understand a failure: where broker, group, ledger and database are, and what workers said.
func (l *lane) tell() {
	if !l.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if ends, err := l.admin.ListEndOffsets(ctx, l.topic); err != nil {
		l.t.Logf("end offsets: %v", err)
	} else {
		l.t.Logf("end offsets: %v", ends[l.topic])
	}
	if offsets, err := l.admin.FetchOffsets(ctx, l.group); err != nil {
		l.t.Logf("committed: %v", err)
	} else {
		l.t.Logf("committed: %v", offsets[l.topic])
	}
	groups, err := l.admin.DescribeGroups(ctx, l.group)
	l.t.Logf("group: %+v, %v", groups[l.group], err)
	query := fmt.Sprintf("SELECT arrayStringConcat(groupArray(format('{0}[{1},{2}]', partition, first_offset, last_offset)), ' ') FROM (SELECT * FROM %s.batches WHERE topic = $1 ORDER BY partition, first_offset)", l.rig.database)
	var receipts string
	err = l.rig.conn.QueryRow(ctx, query, l.topic).Scan(&receipts)
	l.t.Logf("receipts: %s, %v", receipts, err)
	l.t.Logf("workers said last:\n%s", l.log.last(16<<10))
}
