package main

import (
	"cmp"
	"net/url"
	"path/filepath"

	"borderwatch/rules/lint"
	"borderwatch/rules/policy"
)

// What follows is the part of SARIF 2.1.0 (OASIS standard, 27 March 2020) that findings in text files need. Names are
// the standard's.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string    `json:"id"`
		ShortDescription sarifText `json:"shortDescription"`
		FullDescription  sarifText `json:"fullDescription"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"` // error, warning or note
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPlace `json:"physicalLocation"`
	}
	sarifPlace struct {
		ArtifactLocation sarifFile    `json:"artifactLocation"`
		Region           *sarifRegion `json:"region,omitempty"`
	}
	sarifFile struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// sarifOf writes findings for code review tools. Columns count characters, so columnKind says so. Paths begin with dir, as
// the user would open them; a finding without one is shown at the first line of the file first, because such tools refuse
// a result without a place.
func sarifOf(findings []lint.Finding, dir, first string) sarifLog {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: make([]sarifResult, len(findings))}
	run.Tool.Driver.Name = "borderwatch"
	for _, c := range policy.Checks() {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{c.ID, sarifText{c.Title}, sarifText{c.Why}})
	}
	for _, c := range lint.Checks() {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{c.ID, sarifText{c.Title}, sarifText{c.Why}})
	}
	for i := range findings {
		run.Results[i] = sarifResultOf(&findings[i], dir, first)
	}
	return sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}

func sarifResultOf(f *lint.Finding, dir, first string) sarifResult {
	message := f.Message
	if f.Hint != "" {
		message += " (" + f.Hint + ")"
	}
	result := sarifResult{RuleID: f.Check, Level: f.Severity.String(), Message: sarifText{message}}
	path, line := f.Path, f.Line
	if path == "" {
		path, line = first, 1
	}
	place := sarifPlace{ArtifactLocation: sarifFile{(&url.URL{Path: filepath.ToSlash(filepath.Join(dir, path))}).EscapedPath()}}
	if line > 0 {
		place.Region = &sarifRegion{line, cmp.Or(f.Column, 1)}
	}
	result.Locations = []sarifLocation{{place}}
	return result
}
