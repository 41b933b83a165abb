package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/enrich"
	"borderwatch/consumers/store"
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
)

type coverageFlags struct {
	config configFlags
	limit  int
	json   bool
}

func newCoverage() *cobra.Command {
	var f coverageFlags
	cmd := &cobra.Command{
		Use:   "coverage --config FILE",
		Short: "Show what feeds and reference files leave open, and which file would cure it",
		Long: `coverage shows, for each feed and data set, how many events have each location
verdict, which fields are missing, which rules can therefore never be sure there,
and the file that would cure it.

A rule can never be sure where a field that it needs is missing from every event:
it then answers unknown, or nothing, and never alert.

The configuration names an account that reads (role bw_api) and the bundle whose
rules are asked.`,
		Example: `  borderwatch coverage --config console.yaml
  borderwatch coverage --config console.yaml --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f.config.register(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object")
	cmd.Flags().IntVar(&f.limit, "limit", 50, "show at most this many pairs of feed and data set, those with the most events")
	return cmd
}

func (f *coverageFlags) run(ctx context.Context, stdout io.Writer) error {
	if f.limit < 1 {
		return usageError{fmt.Errorf("--limit %d: at least 1", f.limit)}
	}
	loaded, err := f.config.load(config.NeedClickHouse | config.NeedBundle)
	if err != nil {
		return err
	}
	if f.config.print {
		return printConfig(stdout, loaded)
	}
	rules, err := rulesInForce(loaded.Bundle.Dir)
	if err != nil {
		return err
	}
	s, err := openReader(ctx, loaded)
	if err != nil {
		return err
	}
	defer s.Close()
	rows, err := s.Coverage(ctx, f.limit)
	if err != nil {
		return err
	}
	report := newCoverageReport(rows, rules)
	report.More = len(rows) == f.limit
	if f.json {
		return writeJSON(stdout, report)
	}
	return report.write(stdout)
}

// coverageRules are the rules that judge, and what they rest on.
type coverageRules struct {
	rules []*policy.Rule
	read  access.FieldSet // all fields that they read
	notes []string        // what concerns all feeds
}

// approvalFields are what only an approvals file can confirm.
const approvalFields access.FieldSet = 1<<access.FieldApprovalID | 1<<access.FieldApprovalScope | 1<<access.FieldApprovalValidUntil

// rulesInForce reads the rules that judge. The location databases are not needed.
func rulesInForce(dir string) (*coverageRules, error) {
	found, err := inspect(dir, "")
	if err != nil {
		return nil, err
	}
	if found.Failed() {
		return nil, fmt.Errorf("bundle.dir %s: %w", dir, errUnreadable)
	}
	c := &coverageRules{notes: []string{}}
	for _, r := range found.Set.Rules {
		if !r.Status.Judges() {
			continue
		}
		c.rules = append(c.rules, r)
		r.When.Each(func(line *policy.Condition) { c.read = c.read.With(line.Field).With(line.Other) })
	}
	approvals := slices.ContainsFunc(slices.Collect(maps.Values(found.Sources)), func(data []byte) bool {
		return bytes.Contains(data, []byte(enrich.FormatApprovals))
	})
	if c.read&approvalFields != 0 && !approvals {
		c.notes = append(c.notes, "approvals: rules read approval.id, and no approvals file says which are in force; what the source says is taken")
	}
	return c, nil
}

// coverageReport is what coverage shows. Shares are from 0 to 1 of the row's events.
type coverageReport struct {
	Events   uint64             `json:"events"`
	Verdicts map[string]float64 `json:"location_verdicts"` // of all events shown
	Notes    []string           `json:"notes"`
	Rows     []coverageRow      `json:"rows"`
	More     bool               `json:"more"` // --limit was reached
}

type coverageRow struct {
	Feed         string             `json:"feed"`
	Dataset      string             `json:"dataset"`
	Events       uint64             `json:"events"`
	Unjudged     float64            `json:"verdict_unknown"`
	Contradicted float64            `json:"contradicted"` // source and reference files differ
	Verdicts     map[string]float64 `json:"location_verdicts"`
	Missing      map[string]float64 `json:"missing"`
	NeverSure    []unsureRule       `json:"never_sure"`
	Cures        []cure             `json:"cures"`
}

// unsureRule is a rule that can never be sure, and the fields that are missing from every event.
type unsureRule struct {
	Rule    string   `json:"rule"`
	Missing []string `json:"missing"`
}

func newCoverageReport(rows []store.Coverage, rules *coverageRules) *coverageReport {
	report := &coverageReport{Verdicts: map[string]float64{}, Notes: rules.notes, Rows: make([]coverageRow, len(rows))}
	for i := range rows {
		c := &rows[i]
		report.Rows[i] = coverageRow{
			Feed: c.Feed, Dataset: c.Dataset, Events: c.Events, Unjudged: c.Unjudged, Contradicted: c.Contradicts,
			Verdicts: c.Verdicts, Missing: c.Missing, NeverSure: neverSure(c, rules.rules), Cures: curesOf(c, rules.read),
		}
		report.Events += c.Events
		for verdict, share := range c.Verdicts {
			report.Verdicts[verdict] += share * float64(c.Events)
		}
	}
	for verdict := range report.Verdicts {
		report.Verdicts[verdict] /= float64(report.Events)
	}
	return report
}

// neverSure lists the rules that cannot be true of any event of a feed and data set. No rule about data speaks where no
// user data is touched.
func neverSure(c *store.Coverage, rules []*policy.Rule) []unsureRule {
	missing := alwaysMissing(c)
	unsure := []unsureRule{}
	for _, r := range rules {
		if c.Dataset == access.DatasetNone && r.Kind.AboutData() {
			continue
		}
		if fields := needed(&r.When, missing); fields != 0 {
			unsure = append(unsure, unsureRule{r.ID, fields.Names()})
		}
	}
	return unsure
}

// alwaysMissing are the fields that no event of the row has. The country counts as missing where every place is unknown
// or masked.
func alwaysMissing(c *store.Coverage) (fields access.FieldSet) {
	const all = 1 - 1e-9
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		if c.Missing[f.String()] >= all {
			fields = fields.With(f)
		}
	}
	if c.Verdicts[access.LocationUnknown.String()]+c.Verdicts[access.LocationMasked.String()] >= all {
		fields = fields.With(access.FieldLocationCountry)
	}
	return fields
}

// needed are the missing fields without which the conditions cannot be true, none where they can.
func needed(when *policy.Conditions, missing access.FieldSet) access.FieldSet {
	fields := unmet(when.All, missing)
	if fields != 0 || len(when.Any) == 0 {
		return fields
	}
	for _, branch := range when.Any {
		lacking := unmet(branch, missing)
		if lacking == 0 {
			return 0
		}
		fields |= lacking
	}
	return fields
}

// unmet are the missing fields of lines that all have to hold. A line that asks whether a field is missing needs none.
func unmet(lines []policy.Condition, missing access.FieldSet) (fields access.FieldSet) {
	for i := range lines {
		c := &lines[i]
		if c.Op == policy.Missing || slices.ContainsFunc(c.Values, func(v policy.Value) bool { return v.IsUnknown() }) {
			continue
		}
		for _, f := range [...]access.Field{c.Field, c.Other} {
			if f != access.FieldNone && missing.Has(f) {
				fields = fields.With(f)
			}
		}
	}
	return fields
}
