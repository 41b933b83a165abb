package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"borderwatch/consumers/bundle"
	"borderwatch/rules/policy"
)

func newRules() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Check, test and explain the rules of a bundle directory",
		Long: `rules reads the directory that a worker reads: rules, groups, exceptions,
reference files and address lists. No server is needed.`,
		Args: usageArgs(unknownCommand),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(newRulesCheck(), newRulesTest(), newRulesExplain(), newRulesBacktest(), newRulesDiff(), newRulesSigma(), newRulesKeygen(), newRulesBuild(), newRulesSign(), newRulesActivate(), newRulesLog())
	return cmd
}

// errEmpty refuses a directory without rules: an empty set would forbid nothing.
var errEmpty = errors.New("no rule files: this would forbid nothing; name the directory that holds the rules")

// inspect reads a bundle directory for people.
func inspect(dir, geoip string) (*bundle.Inspection, error) {
	source := bundle.Source{Dir: dir, GeoIP: geoip}
	parts, err := source.Read()
	if err != nil {
		return nil, usageError{err}
	}
	found := bundle.Inspect(parts)
	ignored, err := source.Ignored()
	if err != nil {
		return nil, usageError{err}
	}
	for _, name := range ignored {
		found.Problems = append(found.Problems, policy.Problem{Path: name, Check: checkIgnored, Severity: policy.SeverityWarning,
			Message: "the file is not read because of its name", Hint: "rules and lists end in .yaml, .yml, .txt or .csv; begin the name with a dot to leave it out"})
	}
	if !found.Failed() && len(found.Set.Rules) == 0 {
		return nil, usageError{fmt.Errorf("%s: %w", dir, errEmpty)}
	}
	return found, nil
}

// checkIgnored is the id of what lies among the rules and is no part of them.
const checkIgnored = "ignored"

// formatFlag registers --format; the first of the formats is the default.
func formatFlag(cmd *cobra.Command, into *string, formats ...string) {
	cmd.Flags().StringVar(into, "format", formats[0], strings.Join(formats, ", "))
	check := func(cmd *cobra.Command, _ []string) error {
		if slices.Contains(formats, *into) {
			return nil
		}
		return usageError{fmt.Errorf("--format %q is not one of %s", *into, strings.Join(formats, ", "))}
	}
	cmd.PreRunE = check
}

// writeJSON writes v for programs, one object, indented, with < and > as they are.
func writeJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// count writes a number with its noun: "1 error", "2 errors".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
