package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"borderwatch/rules/engine"
	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
	"borderwatch/schemas/alert"
)

func newRulesTest() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Run the tests that are written in rule and exception files",
		Long: `test runs the tests of all rules, whatever their status, and of all exceptions.
A worker refuses a directory of which one test fails.

It exits with 1 where a test fails or a file cannot be read.`,
		Example: "  borderwatch rules test rules/",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return testRules(args[0], format, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	formatFlag(cmd, &format, formatText, formatJSON)
	return cmd
}

// errUnreadable is the end of a command whose input has errors that were shown.
var errUnreadable = errors.New("the files have errors; borderwatch rules check says more")

func testRules(dir, format string, stdout, stderr io.Writer) error {
	found, err := inspect(dir, "")
	if err != nil {
		return err
	}
	if found.Failed() {
		return errors.Join(showErrors(stderr, found.Problems, found.Sources), errUnreadable)
	}
	results := engine.RunTests(found.Set)
	if len(results) == 0 {
		return fmt.Errorf("%s: no rule and no exception has a test", dir)
	}
	failed := 0
	for i := range results {
		if !results[i].Passed() {
			failed++
		}
	}
	if err := writeResults(stdout, format, results, failed); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, count(len(results), "test"))
	}
	return nil
}

// checkTest is the id of a test that fails.
const checkTest = "test"

// failedTests are the tests that fail, as check shows them.
func failedTests(set *policy.Set) (out []lint.Finding) {
	results := engine.RunTests(set)
	for i := range results {
		if t := &results[i]; !t.Passed() {
			words := strings.TrimPrefix(t.String(), fmt.Sprintf("%s:%d:%d: ", t.Pos.Path, t.Pos.Line, t.Pos.Column))
			out = append(out, policy.At(t.Pos, checkTest, "", "%s", words))
		}
	}
	return out
}

// showErrors writes the problems that refuse a bundle.
func showErrors(w io.Writer, problems []policy.Problem, sources map[string][]byte) error {
	var errs []lint.Finding
	for _, p := range problems {
		if p.Severity == policy.SeverityError {
			errs = append(errs, p)
		}
	}
	return lint.Format(w, errs, sources)
}

// jsonResult is the outcome of a test as test --format json writes it.
type jsonResult struct {
	Path      string `json:"path"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	Rule      string `json:"rule"`
	Exception string `json:"exception,omitempty"`
	Name      string `json:"name"`
	Passed    bool   `json:"passed"`
	Expect    string `json:"expect"`
	Got       string `json:"got,omitempty"`
	// Severities are left out where the test says none or there is no alert.
	ExpectSeverity string `json:"expect_severity,omitempty"`
	GotSeverity    string `json:"got_severity,omitempty"`
	Error          string `json:"error,omitempty"`
}

func newJSONResult(t *engine.TestResult) jsonResult {
	r := jsonResult{
		Path: t.Pos.Path, Line: t.Pos.Line, Column: t.Pos.Column, Rule: t.Rule, Exception: t.Exception, Name: t.Name,
		Passed: t.Passed(), Expect: t.Expect.String(), ExpectSeverity: severityWord(t.WantSeverity),
	}
	if t.Err != nil {
		r.Error = t.Err.Error()
		return r
	}
	r.Got, r.GotSeverity = t.Got.String(), severityWord(t.GotSeverity)
	return r
}

// severityWord is "" for none, so that JSON leaves it out.
func severityWord(s alert.Severity) string {
	if s == alert.NoSeverity {
		return ""
	}
	return s.String()
}

// writeResults writes all results for programs, and for people the failed ones and the numbers.
func writeResults(w io.Writer, format string, results []engine.TestResult, failed int) error {
	if format == formatJSON {
		out := make([]jsonResult, len(results))
		for i := range results {
			out[i] = newJSONResult(&results[i])
		}
		return writeJSON(w, struct {
			Tests   int          `json:"tests"`
			Failed  int          `json:"failed"`
			Results []jsonResult `json:"results"`
		}{len(results), failed, out})
	}
	for i := range results {
		if results[i].Passed() {
			continue
		}
		if _, err := fmt.Fprintln(w, printable(results[i].String())); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s, %d failed\n", count(len(results), "test"), failed)
	return err
}
