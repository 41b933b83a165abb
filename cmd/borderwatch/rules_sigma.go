package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
	"borderwatch/rules/sigma"
	"borderwatch/schemas/access"
)

type sigmaFlags struct {
	rules  []string
	accept []string
	day    string
	format string
}

func newRulesSigma() *cobra.Command {
	var f sigmaFlags
	cmd := &cobra.Command{
		Use:   "sigma DIR",
		Short: "Export rules to Sigma, for the security team's own tools",
		Long: `sigma writes rules as Sigma rules, one YAML document each. It is one way.

Sigma knows two answers, no dates and no approved exceptions. A rule of which it
cannot say a part is refused with that part's place, and not exported. These
differences can be accepted by name; the exported rule then states them:

  unknown      what borderwatch reports because something is missing is silent
  dates        a group stays as it is on the day of the export
  exceptions   what an approved exception allows is reported

The exported rule is about events as borderwatch has completed them: a source's
own records have no place, no network and none of the roster's facts.

It exits with 1 where a rule is refused; the others are written all the same.`,
		Example: `  borderwatch rules sigma rules/ --rule BASE-301
  borderwatch rules sigma rules/ --accept unknown,dates,exceptions > borderwatch.yml
  borderwatch rules sigma rules/ --rule EU-101 --day 2027-01-01 --format json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	formatFlag(cmd, &f.format, formatText, formatJSON)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.rules, "rule", nil, "export this rule only (repeatable)")
	flags.StringSliceVar(&f.accept, "accept", nil, "differences to accept: "+joinLosses())
	flags.StringVar(&f.day, "day", "", "resolve groups on this `day` (YYYY-MM-DD) instead of today")
	return cmd
}

func joinLosses() string {
	var names []string
	for _, l := range sigma.Losses() {
		names = append(names, string(l))
	}
	return strings.Join(names, ", ")
}

func (f *sigmaFlags) run(dir string, stdout, stderr io.Writer) error {
	opt, err := f.options()
	if err != nil {
		return usageError{err}
	}
	found, err := inspect(dir, "")
	if err != nil {
		return err
	}
	if found.Failed() {
		return errors.Join(showErrors(stderr, found.Problems, found.Sources), errUnreadable)
	}
	rules, err := f.chosen(found.Set)
	if err != nil {
		return usageError{err}
	}
	var exported []*sigma.Rule
	var refused policy.Problems
	refusedRules := 0
	for _, r := range rules {
		rule, problems := sigma.Convert(found.Set, r, opt)
		if rule == nil {
			refusedRules++
			refused = append(refused, problems...)
			continue
		}
		exported = append(exported, rule)
	}
	if err := f.write(stdout, stderr, exported, refused, found.Sources); err != nil {
		return err
	}
	if refusedRules > 0 {
		return fmt.Errorf("%d of %s cannot be said in Sigma", refusedRules, count(len(rules), "rule"))
	}
	return nil
}

func (f *sigmaFlags) options() (opt sigma.Options, err error) {
	opt.Day = policy.DayOf(access.Millis(time.Now().UnixMilli()))
	if f.day != "" {
		var ok bool
		if opt.Day, ok = policy.ParseDay(f.day); !ok {
			return opt, fmt.Errorf("--day %q is not a day such as 2026-11-23", f.day)
		}
	}
	for _, name := range f.accept {
		loss := sigma.Loss(name)
		if !slices.Contains(sigma.Losses(), loss) {
			return opt, fmt.Errorf("--accept %q is not one of %s", name, joinLosses())
		}
		opt.Accept = append(opt.Accept, loss)
	}
	return opt, nil
}

// chosen are the rules in force, or those named.
func (f *sigmaFlags) chosen(set *policy.Set) ([]*policy.Rule, error) {
	if len(f.rules) == 0 {
		return slices.DeleteFunc(slices.Clone(set.Rules), func(r *policy.Rule) bool { return !r.Status.Judges() }), nil
	}
	var rules []*policy.Rule
	for _, id := range f.rules {
		r := set.Rule(id)
		if r == nil {
			return nil, fmt.Errorf("there is no rule %q", id)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// jsonSigma is an exported rule as sigma --format json writes it.
type jsonSigma struct {
	Rule  string   `json:"rule"`
	Sigma string   `json:"sigma"` // YAML
	Lost  []string `json:"lost"`
}

func (f *sigmaFlags) write(stdout, stderr io.Writer, exported []*sigma.Rule, refused policy.Problems, sources map[string][]byte) error {
	if f.format == formatJSON {
		out := make([]jsonSigma, len(exported))
		for i, r := range exported {
			out[i] = jsonSigma{r.ID, string(r.YAML), r.Lost}
		}
		return writeJSON(stdout, map[string]any{"rules": out, "refused": jsonFindings(refused, sources)["findings"]})
	}
	for i, r := range exported {
		if i > 0 {
			if _, err := io.WriteString(stdout, "---\n"); err != nil {
				return err
			}
		}
		if _, err := stdout.Write(r.YAML); err != nil {
			return err
		}
	}
	return lint.Format(stderr, refused, sources)
}
