package lint_test

import (
	"bytes"
	"strings"
	"testing"

	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
)

func TestFormat(t *testing.T) {
	source := []byte("format: x\nwhen:\n  location.country: UK\n")
	findings := []lint.Finding{
		{Path: "a.yaml", Line: 3, Column: 21, Check: "country-code", Message: `"UK" is not a code`, Hint: "did you mean GB?"},
		{Path: "gone.yaml", Line: 1, Column: 1, Check: "x", Message: "no source", Severity: policy.SeverityWarning},
	}
	var out bytes.Buffer
	if err := lint.Format(&out, findings, map[string][]byte{"a.yaml": source}); err != nil {
		t.Fatal(err)
	}
	want := `a.yaml:3:21: error: "UK" is not a code [country-code]
    3 |   location.country: UK
      |                     ^
      = did you mean GB?
gone.yaml:1:1: warning: no source [x]
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestFormatLongAndHostileLines(t *testing.T) {
	source := []byte(strings.Repeat("a", 1000) + "\x1b[31mX" + strings.Repeat("b", 1000))
	var out bytes.Buffer
	err := lint.Format(&out, []lint.Finding{{Path: "a", Line: 1, Column: 1006, Message: "m"}}, map[string][]byte{"a": source})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if strings.ContainsRune(out.String(), 0x1b) || len(lines[1]) > 200 {
		t.Errorf("line is not cut or not cleaned: %q", lines[1])
	}
	if at := strings.IndexByte(lines[2], '^'); lines[1][at] != 'X' {
		t.Errorf("the caret is under %q, want X\n%s", lines[1][at], out.String())
	}
}
