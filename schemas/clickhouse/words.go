package clickhouse

import (
	"fmt"
	"strings"
	"text/template"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// vocabularies are the closed lists of words that tables store as one byte, by the name the templates use.
var vocabularies = map[string][]string{
	"actor_kind":       access.ActorKinds.Words(),
	"answer":           access.Answers.Words(),
	"employment":       access.Employments.Words(),
	"action":           access.Actions.Words(),
	"outcome":          access.Outcomes.Words(),
	"data_form":        access.DataForms.Words(),
	"mechanism":        access.Mechanisms.Words(),
	"decision":         access.Decisions.Words(),
	"network_kind":     access.NetworkKinds.Words(),
	"location_verdict": access.Verdicts.Words(),
	"expectation":      access.Expectations.Words(),
	"confidence":       access.Confidences.Words(),
	"approval_state":   words(access.ApprovalNone, access.ApprovalRefused),
	"verdict":          words(alert.None, alert.Error),
	"severity":         words(alert.NoSeverity, alert.Critical),
	"case_kind":        words(alert.CasePolicy, alert.CaseGap),
}

// words lists the words of an enumeration from first to last.
func words[T interface {
	~uint8
	fmt.Stringer
}](first, last T) []string {
	var out []string
	for w := first; w <= last; w++ {
		out = append(out, w.String())
	}
	return out
}

// Enum returns the column type of a vocabulary as the server writes it: Enum8('unknown' = 0, 'yes' = 1). The names are
// actor_kind, answer, employment, action, outcome, data_form, mechanism, decision, network_kind, location_verdict,
// expectation, confidence, approval_state, verdict, severity and case_kind.
func Enum(vocabulary string) (string, error) {
	list, ok := vocabularies[vocabulary]
	if !ok {
		return "", fmt.Errorf("no vocabulary %q", vocabulary)
	}
	var b strings.Builder
	b.WriteString("Enum8(")
	for i, w := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s = %d", quote(w), i)
	}
	b.WriteByte(')')
	return b.String(), nil
}

var functions = template.FuncMap{
	"enum":    Enum,
	"visible": func() string { return "" }, // bound to the database when rendered
	"list":    func(column string) string { return parts(column, `\0`) },
	"words":   func(column string) string { return parts(column, " ") },
	"set":     func(column string) string { return parts(column, ",") },
	"most":    most,
	"rank":    rank,
	"shares":  access.Verdicts.Words,
	"missing": missing,
}

// visible is the condition that a row's batch has its receipt and is not replaced by a repair. The lists are read once
// per query and do not depend on its rows.
func visible(db string) string {
	return fmt.Sprintf("batch_id IN (SELECT batch_id FROM %[1]s.receipts) AND batch_id NOT IN "+
		"(SELECT arrayJoin(supersedes) FROM %[1]s.receipts WHERE notEmpty(supersedes))", db)
}

// parts turns joined text into an array; the empty text is the empty array.
func parts(column, separator string) string {
	return fmt.Sprintf("if(empty(%[1]s), [], splitByChar('%[2]s', %[1]s))", column, separator)
}

// most shows columns of the copy with the highest rank.
func most(columns ...string) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = fmt.Sprintf("argMax(e.%[1]s, rank) AS %[1]s", c)
	}
	return out
}

// rank orders the copies of an event: by verdict, then severity, then a hash of the position, so that all columns of the
// chosen copy come from one row.
func rank(verdict string) string {
	return fmt.Sprintf("(toUInt64(e.%s) * 8 + toUInt64(e.severity)) * 144115188075855872 + "+
		"bitShiftRight(sipHash64(e.source, e.topic, e.partition, e.offset), 7)", verdict)
}

// absent pairs a field with the condition under which a row lacks it.
type absent struct{ Field, Condition string }

// missing lists the key fields that a coverage report counts.
func missing() []absent {
	var out []absent
	for f := access.FieldNone + 1; f < access.FieldCount; f++ {
		column, ok := columnOf[f]
		if !ok {
			continue
		}
		condition := column + " = 'unknown'"
		if t := f.Info().Type; t == access.Text || t == access.Address {
			condition = column + " IN ('', 'unknown')"
		}
		out = append(out, absent{f.String(), condition})
	}
	return out
}

// columnOf names the event_rows column of each key field. Fields of a transfer are left out: most accesses are none.
var columnOf = map[access.Field]string{
	access.FieldSourceIP:             "source_ip",
	access.FieldActorKind:            "actor_kind",
	access.FieldActorEmployerCountry: "actor_employer_country",
	access.FieldActorEmployerEntity:  "actor_employer_entity",
	access.FieldActorHomeCountry:     "actor_home_country",
	access.FieldActorCoveredPerson:   "actor_covered_person",
	access.FieldAction:               "action",
	access.FieldOutcome:              "outcome",
	access.FieldDataset:              "dataset",
	access.FieldSystem:               "system",
	access.FieldSubjectRegions:       "subject_regions",
	access.FieldClasses:              "classes",
	access.FieldCategories:           "categories",
	access.FieldForm:                 "form",
	access.FieldStorageCountry:       "storage_country",
	access.FieldGatewayID:            "gateway_id",
	access.FieldGatewayDecision:      "gateway_decision",
}
