package impact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrReport is wrapped by what is wrong with the text of a report.
var ErrReport = errors.New("not a report of rules diff")

// Parse reads what JSON wrote, and refuses every other text: its digest is what people sign.
func Parse(text []byte) (*Report, error) {
	if len(text) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrReport)
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	r := new(Report)
	if err := in.Decode(r); errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: half-written, or cut off", ErrReport)
	} else if err != nil {
		// The decoder's words quote what it found, which could be a secret.
		return nil, fmt.Errorf("%w: it is no JSON of such a report (byte %d)", ErrReport, in.InputOffset())
	}
	if r.Format != Format {
		return nil, fmt.Errorf("%w: format is %.60q, want %s", ErrReport, r.Format, Format)
	}
	canonical, err := r.JSON()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(canonical, text) {
		return nil, fmt.Errorf("%w: its text was changed since it was written", ErrReport)
	}
	return r, nil
}

// About refuses a report that does not compare these two bundles, by their content digests. An empty old one stands for
// any that the report names.
func (r *Report) About(old, new string) error {
	if r.New.By != ByRules || r.New.Bundle != new {
		return fmt.Errorf("the report is about what %s would do, and the archive is bundle sha256:%.12s…", r.New, new)
	}
	if old != "" && (r.Old.By != ByRules || r.Old.Bundle != old) {
		return fmt.Errorf("the report compares with %s, and what is live is bundle sha256:%.12s…", r.Old, old)
	}
	return nil
}

// kindPhrases name changes behind their number.
var kindPhrases = [kindCount]string{"", "appearing", "vanishing", "newly suppressed", "no longer suppressed", "raised", "lowered", "with another outcome", "changed in silence"}

// Summary says the report's numbers in one line.
func (r *Report) Summary() string {
	if r.Events == nil || r.Events.Read == 0 || r.Alerts == nil {
		return "no events were judged"
	}
	of := fmt.Sprintf("of %s", counted(r.Events.Read, "event", "events"))
	if r.Events.From != "" && r.Events.Until != "" {
		of += fmt.Sprintf(" from %s until %s", r.Events.From, r.Events.Until)
	}
	var parts []string
	for k := Appears; k < kindCount; k++ {
		if n := *r.Alerts.Changes.of(k); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kindPhrases[k]))
		}
	}
	if len(parts) == 0 {
		return of + " no alert changes"
	}
	return of + " these alerts change: " + strings.Join(parts, ", ")
}
