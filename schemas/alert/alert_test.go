package alert_test

import (
	"testing"

	"borderwatch/schemas/alert"
)

func TestWordsRoundTrip(t *testing.T) {
	for o := alert.None; o <= alert.Error; o++ {
		if got, ok := alert.ParseOutcome(o.String()); !ok || got != o {
			t.Errorf("outcome %s reads as %s, %v", o, got, ok)
		}
	}
	for s := alert.Info; s <= alert.Critical; s++ {
		if got, ok := alert.ParseSeverity(s.String()); !ok || got != s {
			t.Errorf("severity %s reads as %s, %v", s, got, ok)
		}
	}
	for _, word := range []string{"", "none", "High"} {
		if _, ok := alert.ParseSeverity(word); ok {
			t.Errorf("%q is a severity", word)
		}
	}
}

func TestStepDown(t *testing.T) {
	for from, want := range map[alert.Severity]alert.Severity{
		alert.Critical: alert.High, alert.High: alert.Medium, alert.Medium: alert.Low, alert.Low: alert.Low, alert.Info: alert.Info,
		alert.NoSeverity: alert.NoSeverity,
	} {
		if got := from.StepDown(); got != want {
			t.Errorf("%s steps down to %s, want %s", from, got, want)
		}
	}
}

func TestResetKeepsNothingButCapacity(t *testing.T) {
	v := alert.Verdict{Outcome: alert.Alert, Severity: alert.High, NearTotal: 3, Matched: make([]alert.Match, 2, 8),
		Near: make([]alert.Near, 1, 8), Alerts: make([]alert.Item, 1, 8)}
	v.Reset()
	if v.Outcome != alert.None || v.Severity != alert.NoSeverity || v.NearTotal != 0 || len(v.Matched)+len(v.Near)+len(v.Alerts) != 0 {
		t.Errorf("left over: %+v", v)
	}
	if cap(v.Matched) != 8 || cap(v.Near) != 8 || cap(v.Alerts) != 8 {
		t.Error("the capacity is gone")
	}
}
