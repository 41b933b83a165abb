package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/consumers/bundle"
	"borderwatch/rules/engine"
	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

// The formats of findings.
const (
	formatText  = "text"
	formatJSON  = "json"
	formatSARIF = "sarif"
)

type checkFlags struct {
	format  string
	day     string
	strict  bool
	noTests bool
}

func newRulesCheck() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "Find what is wrong or unwise in rules, groups, exceptions and reference files",
		Long: `check reads the directory as a worker does and adds the checks that no worker
makes: rules that can never hold or that others imply, rules without tests,
exceptions that are too wide, overlap or are about to end, lists that nobody
compared with their source. rules/lint/CHECKS.md lists all checks.

Where nothing is wrong so far it also runs the tests that are written in the files,
as rules test does; a test that fails is an error.

Without errors it also draws the border matrix: which accesses no active rule
decides. That is a report, and no reason to fail.

It exits with 1 where an error is among the findings, with --strict where a
warning is. Without errors a worker accepts the directory.`,
		Example: `  borderwatch rules check rules/
  borderwatch rules check rules/ --day 2027-01-01
  borderwatch rules check rules/ --format sarif > findings.sarif`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(args[0], cmd.OutOrStdout())
		},
	}
	formatFlag(cmd, &f.format, formatText, formatJSON, formatSARIF)
	cmd.Flags().StringVar(&f.day, "day", "", "check as of this `day` (YYYY-MM-DD) instead of today")
	cmd.Flags().BoolVar(&f.noTests, "no-tests", false, "leave the tests to borderwatch rules test")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "fail on warnings too")
	return cmd
}

func (f *checkFlags) run(dir string, stdout io.Writer) error {
	day := policy.DayOf(access.Millis(time.Now().UnixMilli()))
	if f.day != "" {
		var ok bool
		if day, ok = policy.ParseDay(f.day); !ok {
			return usageError{fmt.Errorf("--day %q is not a day such as 2026-11-23", f.day)}
		}
	}
	found, err := inspect(dir, "")
	if err != nil {
		return err
	}
	findings := findingsOf(found, day)
	if !f.noTests && !policy.Problems(findings).Failed() {
		findings = append(findings, failedTests(found.Set)...)
	}
	if err := f.write(stdout, dir, findings, found, day); err != nil {
		return err
	}
	return f.conclude(findings)
}

// checkCompile is the id of what only compiling a whole set of rules shows.
const checkCompile = "compile"

// findingsOf are the problems of the files and, where they can be read, what the checks find in them.
func findingsOf(found *bundle.Inspection, day policy.Day) []lint.Finding {
	findings := slices.DeleteFunc(slices.Clone(found.Problems), noDatabase)
	if !policy.Problems(findings).Failed() {
		findings = append(findings, lint.Run(found.Set, day)...)
	}
	if !policy.Problems(findings).Failed() {
		if _, err := engine.Compile(found.Set, engine.Options{}); err != nil {
			findings = append(findings, policy.At(policy.Position{}, checkCompile, "", "%v", err))
		}
	}
	slices.SortStableFunc(findings, func(a, b lint.Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return findings
}

// noDatabase leaves out what is said of a location database: check is not given one.
func noDatabase(p policy.Problem) bool { return p.Path == "" }

func (f *checkFlags) write(w io.Writer, dir string, findings []lint.Finding, found *bundle.Inspection, day policy.Day) error {
	switch f.format {
	case formatJSON:
		return writeJSON(w, jsonFindings(findings, found.Sources))
	case formatSARIF:
		return writeJSON(w, sarifOf(findings, dir, firstFile(found)))
	}
	note := func(p lint.Finding) bool { return p.Severity == policy.SeverityNote }
	failed := policy.Problems(findings).Failed()
	if err := lint.Format(w, slices.DeleteFunc(slices.Clone(findings), note), found.Sources); err != nil || failed {
		return err
	}
	border := lint.NewBorder(found.Set, day)
	if err := border.WriteMatrix(w); err != nil {
		return err
	}
	return border.WriteHoles(w, found.Set)
}

// conclude is nil where nothing is found that must be mended.
func (f *checkFlags) conclude(findings []lint.Finding) error {
	errors, warnings := 0, 0
	for i := range findings {
		switch findings[i].Severity {
		case policy.SeverityError:
			errors++
		case policy.SeverityWarning:
			warnings++
		}
	}
	if errors == 0 && (warnings == 0 || !f.strict) {
		return nil
	}
	return fmt.Errorf("%s, %s", count(errors, "error"), count(warnings, "warning"))
}

// jsonFinding is a finding as check --format json writes it.
type jsonFinding struct {
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Path     string `json:"path"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	Source   string `json:"source,omitempty"` // the line, of which Column is the character
}

// firstFile is the file at which a finding about all rules is shown: that of the first rule.
func firstFile(found *bundle.Inspection) string {
	if len(found.Set.Rules) > 0 {
		return found.Set.Rules[0].Pos.Path
	}
	paths := slices.Sorted(maps.Keys(found.Sources))
	return append(paths, "")[0]
}

func jsonFindings(findings []lint.Finding, sources map[string][]byte) map[string][]jsonFinding {
	out := make([]jsonFinding, len(findings))
	for i := range findings {
		p := &findings[i]
		out[i] = jsonFinding{p.Check, p.Severity.String(), p.Path, p.Line, p.Column, p.Message, p.Hint, lint.SourceLine(sources[p.Path], p.Line)}
	}
	return map[string][]jsonFinding{"findings": out}
}
