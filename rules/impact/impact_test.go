package impact_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"borderwatch/rules/impact"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

func event(id, actor, country string, offset int64) (*access.Event, access.Digest) {
	var ev access.Event
	ev.Reset()
	ev.ID, ev.Time, ev.Actor.ID = id, 1_793_000_000_000+access.Millis(offset)*1000, actor
	ev.Source.Scope = "scope"
	ev.Data.Items[0].Dataset = "users"
	c, _ := access.ParseCountry(country)
	ev.Location.Candidates = access.SetOf(c)
	ev.Kafka = access.Position{Topic: "access", Partition: 1, Offset: offset, Timestamp: ev.Time}
	content, _ := ev.ContentDigest(nil)
	return &ev, content
}

func finding(rule string, outcome alert.Outcome, severity alert.Severity) []impact.Finding {
	return []impact.Finding{{Rule: rule, Outcome: outcome, Severity: severity}}
}

// TestKinds says what each pair of sides is called.
func TestKinds(t *testing.T) {
	none := []impact.Finding(nil)
	high, low := finding("R-1", alert.Alert, alert.High), finding("R-1", alert.Alert, alert.Low)
	quiet := finding("R-1", alert.Suppressed, alert.High)
	failed := finding("R-1", alert.Error, alert.High)
	for _, test := range []struct {
		before, after []impact.Finding
		want          impact.Counts
	}{
		{none, none, impact.Counts{}},
		{high, high, impact.Counts{}},
		{quiet, quiet, impact.Counts{}},
		{none, high, impact.Counts{Appear: 1}},
		{high, none, impact.Counts{Vanish: 1}},
		{high, quiet, impact.Counts{Suppressed: 1}},
		{quiet, high, impact.Counts{Speak: 1}},
		{low, high, impact.Counts{Raised: 1}},
		{high, low, impact.Counts{Lowered: 1}},
		{high, failed, impact.Counts{Reworded: 1}},
		{none, quiet, impact.Counts{Suppressed: 1}},
		{quiet, none, impact.Counts{Quiet: 1}},
		{high, finding("R-2", alert.Alert, alert.High), impact.Counts{Appear: 1, Vanish: 1}},
		{finding(alert.UnknownRule, alert.Unknown, alert.Low), high, impact.Counts{Appear: 1, Vanish: 1}},
	} {
		var c impact.Collected
		ev, content := event("e-1", "u-1", "DE", 1)
		c.Add(ev, content, test.before, test.after)
		if got := filled(impact.Options{Rows: 5}, &c).Alerts.Changes; got != test.want {
			t.Errorf("%v, then %v: %+v, want %+v", test.before, test.after, got, test.want)
		}
	}
}

func filled(opt impact.Options, collected ...*impact.Collected) *impact.Report {
	total := impact.NewTotal(opt)
	for _, c := range collected {
		total.Add(c)
	}
	var r impact.Report
	total.Fill(&r, impact.Events{})
	return &r
}

// TestShadowRules counts what nobody hears of apart, and a rule that becomes active on both sides.
func TestShadowRules(t *testing.T) {
	shadow := []impact.Finding{{Rule: "R-1", Outcome: alert.Alert, Severity: alert.High, Shadow: true}}
	var c impact.Collected
	ev, content := event("e-1", "u-1", "DE", 1)
	c.Add(ev, content, shadow, finding("R-1", alert.Alert, alert.High))
	r := filled(impact.Options{Rows: 5, Examples: 1}, &c)
	if r.Alerts.Changes != (impact.Counts{Appear: 1}) || r.Shadow.Changes != (impact.Counts{Vanish: 1}) {
		t.Errorf("alerts %+v, shadow %+v", r.Alerts.Changes, r.Shadow.Changes)
	}
	if len(r.Rules.Rows) != 2 || len(r.People.Rows) != 1 || r.People.Rows[0].Appear != 1 {
		t.Errorf("rules %+v, people %+v", r.Rules, r.People)
	}
}

// TestCopies counts an alert of several copies of an event once, and that of other content under the same id twice.
func TestCopies(t *testing.T) {
	var c impact.Collected
	for offset := range int64(3) {
		ev, _ := event("e-1", "u-1", "DE", offset)
		ev.Time = 1
		content, _ := ev.ContentDigest(nil)
		c.Add(ev, content, nil, finding("R-1", alert.Alert, alert.High))
	}
	ev, _ := event("e-1", "u-2", "DE", 3)
	content, _ := ev.ContentDigest(nil)
	c.Add(ev, content, nil, finding("R-1", alert.Alert, alert.High))
	r := filled(impact.Options{Rows: 5}, &c)
	if r.Alerts.Changes.Appear != 2 || r.Events.Copies != 2 || r.Events.Read != 4 || r.Alerts.After.High != 2 {
		t.Errorf("%+v %+v", r.Alerts, r.Events)
	}
}

// TestTables shows the keys with the most changes and counts the others.
func TestTables(t *testing.T) {
	var c impact.Collected
	offset := int64(0)
	for person := range 10 {
		for range person + 1 {
			ev, content := event(fmt.Sprintf("e-%d", offset), fmt.Sprintf("u-%d", person), "DE", offset)
			c.Add(ev, content, nil, finding("R-1", alert.Alert, alert.Severity(1+offset%5)))
			offset++
		}
	}
	r := filled(impact.Options{Rows: 3, Examples: 2}, &c)
	var keys []string
	for _, row := range r.People.Rows {
		keys = append(keys, fmt.Sprint(row.Key, " ", row.Appear))
	}
	if want := "u-9 10, u-8 9, u-7 8"; strings.Join(keys, ", ") != want {
		t.Errorf("people %v, want %s", keys, want)
	}
	if more := r.People.More; more == nil || more.Keys != 7 || more.Appear != 28 || more.Least {
		t.Errorf("others %+v", r.People.More)
	}
	if len(r.Samples) != 2 || r.Samples[0].After != "alert critical" || r.Samples[0].EventID != "e-54" {
		t.Errorf("examples %+v", r.Samples)
	}
}

// TestOrderWithinWindows adds the events of windows in any order: the report is the same, byte by byte.
func TestOrderWithinWindows(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	type added struct {
		ev            *access.Event
		content       access.Digest
		before, after []impact.Finding
	}
	var windows [2][]added
	for w := range windows {
		for i := range int64(200) {
			ev, content := event(fmt.Sprintf("e-%d", i%150), fmt.Sprintf("u-%d", i%7), []string{"DE", "CN", "IN"}[i%3], int64(w)*1000+i)
			a := added{ev, content, nil, finding("R-1", alert.Alert, alert.Severity(1+i%5))}
			if i%4 == 0 {
				a.before = finding("R-1", alert.Alert, alert.Medium)
			}
			windows[w] = append(windows[w], a)
		}
	}
	var digests []string
	for range 5 {
		var list []*impact.Collected
		for _, w := range windows {
			r.Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
			c := new(impact.Collected)
			for _, a := range w {
				c.Add(a.ev, a.content, a.before, a.after)
			}
			list = append(list, c)
		}
		digest, err := filled(impact.Options{Rows: 2, Examples: 3}, list...).Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	for _, d := range digests[1:] {
		if d != digests[0] {
			t.Errorf("digests %v", digests)
		}
	}
}

// TestReuse: a collection that is used again knows nothing of before.
func TestReuse(t *testing.T) {
	var c impact.Collected
	ev, content := event("e-1", "u-1", "DE", 1)
	c.Add(ev, content, nil, finding("R-1", alert.Alert, alert.High))
	c.Reset()
	c.Add(ev, content, finding("R-1", alert.Alert, alert.High), finding("R-1", alert.Alert, alert.High))
	r := filled(impact.Options{Rows: 5}, &c)
	if !reflect.DeepEqual(r.Alerts.Changes, impact.Counts{}) || r.Events.Read != 1 {
		t.Errorf("%+v %+v", r.Alerts, r.Events)
	}
}

// BenchmarkCollect compares the findings of events of which one in twenty has an alert, half of them changed.
func BenchmarkCollect(b *testing.B) {
	ev, content := event("e-1", "u-1", "DE", 1)
	before, after := finding("R-1", alert.Alert, alert.High), finding("R-1", alert.Alert, alert.Low)
	var c impact.Collected
	total := impact.NewTotal(impact.Options{Rows: 20, Examples: 3})
	b.ReportAllocs()
	for i := range b.N {
		content[0], content[1], content[2], content[3] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
		switch i % 40 {
		case 0:
			c.Add(ev, content, before, after)
		case 20:
			c.Add(ev, content, before, before)
		default:
			c.Add(ev, content, nil, nil)
		}
		if i%250_000 == 0 {
			total.Add(&c)
			c.Reset()
		}
	}
}
