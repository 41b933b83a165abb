package dashboards_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var haltWord = regexp.MustCompile(`(?:&halt\{|func\(err error\) \(string, bool\) \{.*return )"(\w+)"`)

// TestOperatorsGuideIsWhole fails where consumers/README.md says nothing of a metric, an alert, or a reason for which a
// partition stops.
func TestOperatorsGuideIsWhole(t *testing.T) {
	text, err := os.ReadFile("../consumers/README.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)
	for name := range registered() {
		short := strings.TrimPrefix(name, "borderwatch_")
		if !strings.HasPrefix(short, "kafka_") && !strings.Contains(guide, short) {
			t.Errorf("the metric %s is not explained", name)
		}
	}
	for _, r := range rules(t).all() {
		if r.Alert != "" && !strings.Contains(guide, "| `"+r.Alert+"` |") {
			t.Errorf("the alert %s is not explained", r.Alert)
		}
	}
	words := haltWords(t)
	if len(words) < 8 {
		t.Fatalf("only found the reasons %v", words)
	}
	for _, word := range words {
		if !strings.Contains(guide, "| `"+word+"` |") {
			t.Errorf("the reason %s for which a partition stops is not explained", word)
		}
	}
}

// haltWords reads the reasons from the code that stops partitions.
func haltWords(t *testing.T) (words []string) {
	t.Helper()
	files, err := filepath.Glob("../consumers/pipeline/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range haltWord.FindAllStringSubmatch(string(code), -1) {
			words = append(words, m[1])
		}
	}
	return words
}
