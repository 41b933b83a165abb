package embedded

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// plainInterval is the time between two lines of progress where standard error
// is not a terminal.
const plainInterval = 5 * time.Second

// progress shows how far one step of a fetch is: a bar on a terminal, a line
// now and then elsewhere. It is an io.Writer that counts what passes. It serves
// one goroutine at a time.
type progress struct {
	label string
	total int64
	done  int64
	bar   *progressbar.ProgressBar // nil where out is not a terminal
	out   io.Writer
	next  time.Time
}

func newProgress(out io.Writer, label string, total int64) *progress {
	p := &progress{label: label, total: total, out: out, next: time.Now().Add(plainInterval)}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription(label),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish())
		return p
	}
	fmt.Fprintf(out, "borderwatch: %s (%d MB)\n", label, total>>20)
	return p
}

func (p *progress) Write(b []byte) (int, error) {
	p.set(p.done + int64(len(b)))
	return len(b), nil
}

// set moves to n bytes; it never moves back nor past the total.
func (p *progress) set(n int64) {
	n = min(n, p.total)
	if n <= p.done {
		return
	}
	p.done = n
	if p.bar != nil {
		_ = p.bar.Set64(n)
		return
	}
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(plainInterval)
		fmt.Fprintf(p.out, "borderwatch: %s: %d of %d MB\n", p.label, n>>20, p.total>>20)
	}
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// watchDir shows the growth of dir until ctx ends. npm tells nothing about its
// download when nobody looks at its terminal, so the files it writes are measured.
func (p *progress) watchDir(ctx context.Context, dir string) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.set(dirSize(dir))
		}
	}
}

// dirSize returns the bytes of all files below dir. Files that vanish while it
// looks count as nothing.
func dirSize(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
