package semantics

import (
	"strings"
	"testing"
)

// TestStrictness checks that nothing in the table can be overlooked because it is misspelt or left out.
func TestStrictness(t *testing.T) {
	const good = "format: " + Format + "\npoints:\n  - {number: 1, title: A, examples: [{case: c, sentence: s, expect: {outcome: none}}]}\n"
	if _, err := parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, old, new, words string }{
		{"a misspelt key", "sentence", "sentense", "field sentense not found"},
		{"a misspelt expectation", "outcome", "outcom", "field outcom not found"},
		{"another format", "semantics/v1", "semantics/v2", "want " + Format},
		{"a key twice", "case: c", "case: c, case: d", "already"},
	} {
		if _, err := parse([]byte(strings.Replace(good, test.old, test.new, 1))); err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v, want %q", test.name, err, test.words)
		}
	}
}

func TestCompleteness(t *testing.T) {
	expects := Expect{Outcome: "none"}
	for _, test := range []struct {
		name    string
		example Example
		words   string
	}{
		{"no sentence", Example{Case: "c", Expect: expects}, "no sentence"},
		{"nothing expected", Example{Case: "c", Sentence: "s"}, "expects nothing"},
		{"not shown and expected", Example{Case: "c", Sentence: "s", NotYet: "later", Expect: expects}, "not shown yet"},
		{"a departure without a reason", Example{Case: "c", Sentence: "s", Expect: expects, Departs: &Departs{Outcome: "alert"}}, "departs"},
		{"a departure that is none", Example{Case: "c", Sentence: "s", Expect: expects, Departs: &Departs{Outcome: "none", Because: "b"}}, "departs"},
	} {
		if err := test.example.check(); err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v, want %q", test.name, err, test.words)
		}
	}
	points, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	for i := range points {
		less := append(append([]Point{}, points[:i]...), points[i+1:]...)
		if complete(less) == nil {
			t.Errorf("nothing is said where point %d is left out", i+1)
		}
	}
}
