package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"borderwatch/rules/impact"
	"borderwatch/rules/release"
)

// impactSuffix is what the name of an archive gets for the report that its signed statement names by digest.
const impactSuffix = ".impact.json"

// impactFile is a report and the text whose digest people sign.
type impactFile struct {
	*impact.Report
	text   []byte
	digest string // of the text, hexadecimal
}

// readImpact reads the report of rules diff about two bundles, given by their content digests; old is "" for any.
func readImpact(name, old, new string) (*impactFile, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	report, err := impact.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := report.About(old, new); err != nil {
		return nil, fmt.Errorf("%s: %w; make it with borderwatch rules diff PREVIOUS ARCHIVE --out", name, err)
	}
	return &impactFile{Report: report, text: text, digest: release.NewPart("", "", text).Digest}, nil
}

// signedImpact reads the report that a statement names: the named file, else the one beside the archive. nil where the
// statement names none.
func signedImpact(archive, name string, s *release.Statement) (*impactFile, error) {
	given := name != ""
	if !given {
		name = archive + impactSuffix
	}
	switch {
	case s.Impact == "" && given:
		return nil, usageError{fmt.Errorf("--impact: the statement about %s names no report; let the author sign anew with --impact", archive)}
	case s.Impact == "":
		return nil, nil
	}
	report, err := readImpact(name, s.Previous, s.Content)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the statement names a report of the impact, sha256:%.12s…, and there is no %s: get it from the author", s.Impact, name)
	}
	if err != nil {
		return nil, err
	}
	if report.digest != s.Impact {
		return nil, fmt.Errorf("%s is not the report that was signed: sha256:%.12s…, signed sha256:%.12s…", name, report.digest, s.Impact)
	}
	return report, nil
}
