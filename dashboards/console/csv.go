package console

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	"borderwatch/schemas/casework"
)

var csvHeader = []string{"alert_id", "time", "detected", "severity", "outcome", "shadow", "rule_id", "actor_id", "actor_kind", "source_ip", "country",
	"location_verdict", "action", "access_outcome", "dataset", "system", "classes", "subject_regions", "records", "exceptions", "why", "case_id", "event_id",
	"feed", "bundle", "topic", "partition", "offset"}

// writeCSV writes alerts as a file for spreadsheets (RFC 4180).
func writeCSV(w io.Writer, alerts []casework.Alert) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	for i := range alerts {
		if err := out.Write(csvRow(&alerts[i])); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func csvRow(a *casework.Alert) []string {
	records := ""
	if a.Records >= 0 {
		records = strconv.FormatInt(a.Records, 10)
	}
	row := []string{a.ID, a.Time.UTC().Format(time.RFC3339Nano), a.Detected.UTC().Format(time.RFC3339Nano), a.Severity, a.Outcome, strconv.FormatBool(a.Shadow),
		a.RuleID, a.ActorID, a.ActorKind, a.SourceIP, a.Country, a.LocationVerdict, a.Action, a.AccessOutcome, a.Dataset, a.System, a.Classes, a.Regions,
		records, strings.Join(a.Exceptions, " "), a.Why, a.CaseID, a.EventID, a.Feed, a.Bundle, a.Topic, strconv.Itoa(int(a.Partition)), strconv.FormatInt(a.Offset, 10)}
	for i := range row {
		row[i] = inert(row[i])
	}
	return row
}

// inert keeps a spreadsheet from taking a value for a formula: what begins as one gets an apostrophe in front. Leading spaces
// do not hide it, and a line end inside a value does not begin a new one.
func inert(value string) string {
	first := strings.TrimLeft(value, " \u00a0\u3000")
	if first != "" && strings.ContainsAny(first[:1], "=+-@\t\r\n|%") || strings.HasPrefix(first, "＝") || strings.HasPrefix(first, "＋") ||
		strings.HasPrefix(first, "－") || strings.HasPrefix(first, "＠") {
		return "'" + value
	}
	return value
}
