package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progressBar shows on a terminal how far a run has come. It is used under the report's lock.
type progressBar struct {
	to    io.Writer // nil where nobody looks
	total int64
	done  int64
	drawn time.Time
}

// newProgressBar draws on stderr where that is a terminal.
func newProgressBar(stderr io.Writer) *progressBar {
	file, ok := stderr.(*os.File)
	if !ok {
		return &progressBar{}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progressBar{}
	}
	return &progressBar{to: file}
}

const barWidth = 40

func (p *progressBar) add(n int64) {
	p.done += n
	if p.to == nil || p.total == 0 || time.Since(p.drawn) < 100*time.Millisecond && p.done < p.total {
		return
	}
	p.drawn = time.Now()
	filled := int(min(p.done, p.total) * barWidth / p.total)
	fmt.Fprintf(p.to, "\r[%s%s] %d of %d offsets", strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), p.done, p.total)
	if p.done >= p.total {
		fmt.Fprintln(p.to)
	}
}
