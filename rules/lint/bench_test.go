package lint_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"borderwatch/rules/lint"
	"borderwatch/rules/packs"
	"borderwatch/rules/policy"
)

// many are n rules as a large organisation would have them: the shipped groups, lists of data sets and actors, few laws,
// every fifth rule allowing exceptions and each of those with one.
func many(tb testing.TB, n int) []policy.Document {
	tb.Helper()
	groups, err := packs.Files.ReadFile("eu/groups.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	docs := []policy.Document{{Path: "groups.yaml", Data: groups}}
	for i := range n {
		keys := fmt.Sprintf("law: GDPR Art. %d\nwhy: W\nrespond: R\nowner: O\n", 30+i%3)
		when := fmt.Sprintf("data.classes: restricted; data.dataset: [eu.t%d, eu.t%d]; actor.kind: [employee, vendor]; action: [read, export]; location.country not: ['@adequacy', '@eea']; actor.groups: g%d", i, i+1, i%50)
		if i%5 == 0 {
			keys += "exceptions: allowed\nexception_must_pin: actor.id\n"
			x := fmt.Sprintf("format: borderwatch/exception/v1\nid: X-%d\nrules: [T-%d]\n%sticket: D\nrequested_by: a\napproved_by: [b, c]\nwhen: {actor.id: u-%d, location.country: SG}\n", i, i, dates, i)
			docs = append(docs, policy.Document{Path: fmt.Sprintf("x%d.yaml", i), Data: []byte(x)})
		}
		text := strings.Replace(rule(when, keys), "T-1", fmt.Sprintf("T-%d", i), 1)
		docs = append(docs, policy.Document{Path: fmt.Sprintf("r%d.yaml", i), Data: []byte(text)})
	}
	return docs
}

// BenchmarkCheck reads and checks.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		docs := many(b, n)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			for b.Loop() {
				set, problems := policy.Read(docs)
				if problems.Failed() {
					b.Fatal(problems)
				}
				lint.Run(set, 20_000)
			}
		})
	}
}

// TestCheckIsFast counts processor time, so that a busy machine does not fail it.
func TestCheckIsFast(t *testing.T) {
	docs := many(t, 1000)
	start := processorTime(t)
	set, problems := policy.Read(docs)
	if problems.Failed() {
		t.Fatal(problems)
	}
	lint.Run(set, day(t, today))
	if spent := processorTime(t) - start; spent > time.Second {
		t.Errorf("reading and checking 1,000 rules takes %v of a processor, want less than a second", spent)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
