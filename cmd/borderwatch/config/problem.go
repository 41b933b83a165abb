package config

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with the configuration.
type Problem struct {
	Place   string // "config.yaml:12:3", the name of a variable, "--set kafka.brokers"; "" where nothing was set
	Message string
}

func (p Problem) String() string {
	if p.Place == "" {
		return p.Message
	}
	return p.Place + ": " + p.Message
}

// Problems is an error that lists everything that is wrong, so that one run finds all of it.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(place, format string, args ...any) {
	*p = append(*p, Problem{place, fmt.Sprintf(format, args...)})
}

// unknown reports a key that does not exist.
func (p *Problems) unknown(place, what, name, like string) {
	if like == "" {
		p.add(place, "unknown %s %q", what, name)
		return
	}
	p.add(place, "unknown %s %q, did you mean %q?", what, name, like)
}
