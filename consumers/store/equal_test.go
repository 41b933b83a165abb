package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"borderwatch/consumers/store"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// safeColumns and safeRow are the plain way to write event_rows: clickhouse-go's Append with ordinary values, made
// without any of the code that the block is made of.
var safeColumns = strings.Fields(`source topic partition offset batch_time bundle kafka_time feed scope event_id content time seq
	source_ip actor_id actor_kind actor_via actor_employer_country actor_employer_entity actor_home_country actor_groups
	actor_covered_person actor_employment session_id session_mfa declared_office declared_physical presence_badge presence_device
	presence_client location_country location_verdict location_reason location_expected location_confidence
	location_address_only location_contested location_evidence network_asn network_org network_kind action outcome dataset system
	subject_regions classes categories form storage_country more_items exporter_entity subjects records bytes dest_system
	dest_country dest_entity approval_id approval_scope approval_until approval_state ticket_id justification mechanism
	gateway_id gateway_decision added differs verdict severity alerts matched near near_total`)

func safeRow(b store.Batch, ev *access.Event, content access.Digest, v *alert.Verdict) []any {
	at := func(m access.Millis) time.Time { return time.UnixMilli(int64(m)).UTC() }
	a, l, i := &ev.Actor, &ev.Location, &ev.Data.Items[0]
	var evidence []string
	for _, e := range l.Evidence[:l.EvidenceCount] {
		evidence = append(evidence, e.Kind.String()+"="+e.Place.String())
	}
	var matched, near []string
	for _, m := range v.Matched {
		s := fmt.Sprintf("%s:%s:%s", m.RuleID, m.Outcome, m.Severity)
		if m.Shadow {
			s += ":shadow"
		}
		if m.DataItem > 0 {
			s += fmt.Sprintf(":item=%d", m.DataItem)
		}
		if names := m.Missing.Names(); names != nil {
			s += ":" + strings.Join(names, "+")
		}
		matched = append(matched, s)
	}
	for _, n := range v.Near {
		near = append(near, n.RuleID+":"+strings.Join(n.False.Names(), "+"))
	}
	added, differs := safeReferences(ev)
	return []any{b.Source, b.Topic, b.Partition, ev.Kafka.Offset, at(b.BatchTime), b.Bundle, at(ev.Kafka.Timestamp), ev.Source.Feed,
		ev.Source.Scope, ev.ID, content[:], at(ev.Time), ev.Source.Seq, ev.Source.Address, a.ID,
		second(a.Kind, a.KindRef).String(), safeList(a.Via, a.ViaGiven), second(a.EmployerCountry, a.EmployerCountryRef).String(),
		second(a.EmployerEntity, a.EmployerEntityRef), second(a.HomeCountry, a.HomeCountryRef).String(), safeList(a.Groups, a.GroupsGiven || a.GroupsAdded > 0),
		second(a.CoveredPerson, a.CoveredPersonRef).String(), second(a.Employment, a.EmploymentRef).String(), ev.Session.ID, ev.Session.MFA.String(),
		ev.Declared.Office.String(), ev.Declared.Physical.String(), ev.Presence.Badge.String(), ev.Presence.Device.String(), ev.Presence.ClientAddress,
		l.Candidates.String(), l.Verdict.String(), l.Reason, l.Expected.String(), l.Confidence.String(), l.AddressOnly, l.Contested,
		strings.Join(evidence, " "), ev.Network.ASN, ev.Network.Org, ev.Network.Kind.String(), ev.Action.String(), ev.Outcome.String(),
		i.Dataset, second(i.System, i.SystemRef), i.EffectiveRegions().Format(access.SubjectRegions), i.EffectiveClasses().Format(access.DataClasses),
		i.EffectiveCategories().Format(access.DataCategories), second(i.Form, i.FormRef).String(), second(i.StorageCountry, i.StorageCountryRef).String(),
		safeItems(ev.Data.Items[1:]), second(ev.Data.ExporterEntity, ev.Data.ExporterEntityRef), ev.Data.Subjects, ev.Data.Records, ev.Data.Bytes, ev.Dest.System, ev.Dest.Country.String(), ev.Dest.Entity,
		ev.Approval.ID, ev.Approval.Scope, at(ev.Approval.ValidUntil), ev.Approval.State.String(), ev.Ticket, ev.Reason, ev.Mechanism.String(),
		ev.Gateway.ID, ev.Gateway.Decision.String(), strings.Join(added.Names(), " "), strings.Join(differs, "\x00"),
		v.Outcome.String(), v.Severity.String(), uint16(len(v.Alerts)), strings.Join(matched, " "), strings.Join(near, " "), uint16(v.NearTotal)}
}

func second[T comparable](value, reference T) T {
	var zero T
	if reference == zero {
		return value
	}
	return reference
}

func safeList(list []string, given bool) string {
	if !given {
		return "unknown"
	}
	out := make([]string, len(list))
	for i, m := range list {
		if out[i] = m; m == "" {
			out[i] = "unknown"
		}
	}
	return strings.Join(out, "\x00")
}

// safeReferences asks the event itself what source and reference say, instead of looking at the twins.
func safeReferences(ev *access.Event) (added access.FieldSet, differs []string) {
	note := func(f access.Field, suffix, value, reference string) {
		switch {
		case reference == "" || reference == "unknown" || reference == value:
		case value == "" || value == "unknown":
			added = added.With(f)
		default:
			differs = append(differs, f.String()+suffix+"="+value)
		}
	}
	a := &ev.Actor
	note(access.FieldActorKind, "", a.Kind.String(), a.KindRef.String())
	note(access.FieldActorEmployerCountry, "", a.EmployerCountry.String(), a.EmployerCountryRef.String())
	note(access.FieldActorHomeCountry, "", a.HomeCountry.String(), a.HomeCountryRef.String())
	note(access.FieldActorCoveredPerson, "", a.CoveredPerson.String(), a.CoveredPersonRef.String())
	note(access.FieldActorEmployment, "", a.Employment.String(), a.EmploymentRef.String())
	note(access.FieldActorEmployerEntity, "", a.EmployerEntity, a.EmployerEntityRef)
	if a.GroupsAdded > 0 && !a.GroupsGiven {
		added = added.With(access.FieldActorGroups)
	}
	for n := range ev.Data.Items {
		i, suffix := &ev.Data.Items[n], ""
		if n > 0 {
			suffix = fmt.Sprintf("[%d]", n)
		}
		note(access.FieldSystem, suffix, i.System, i.SystemRef)
		note(access.FieldForm, suffix, i.Form.String(), i.FormRef.String())
		note(access.FieldStorageCountry, suffix, i.StorageCountry.String(), i.StorageCountryRef.String())
		for _, s := range []struct {
			f             access.Field
			source, union access.Set
		}{
			{access.FieldSubjectRegions, i.Regions, i.EffectiveRegions()},
			{access.FieldClasses, i.Classes, i.EffectiveClasses()},
			{access.FieldCategories, i.Categories, i.EffectiveCategories()},
		} {
			switch {
			case s.source == s.union:
			case s.source.Missing():
				added = added.With(s.f)
			default:
				differs = append(differs, s.f.String()+suffix+"="+s.source.Format(s.f.Info().Vocabulary))
			}
		}
	}
	note(access.FieldExporterEntity, "", ev.Data.ExporterEntity, ev.Data.ExporterEntityRef)
	return added, differs
}

func safeItems(items []access.Item) string {
	if len(items) == 0 {
		return ""
	}
	list := func(s access.Set, v *access.Vocabulary) []string {
		if !s.Given() {
			return []string{"unknown"}
		}
		return s.Words(v)
	}
	type row struct {
		Dataset    string   `json:"dataset"`
		System     string   `json:"system"`
		Regions    []string `json:"subject_regions"`
		Classes    []string `json:"classes"`
		Categories []string `json:"categories"`
		Form       string   `json:"form"`
		Storage    string   `json:"storage_country"`
	}
	var out []row
	for _, i := range items {
		out = append(out, row{i.Dataset, second(i.System, i.SystemRef), list(i.EffectiveRegions(), access.SubjectRegions), list(i.EffectiveClasses(), access.DataClasses),
			list(i.EffectiveCategories(), access.DataCategories), second(i.Form, i.FormRef).String(), second(i.StorageCountry, i.StorageCountryRef).String()})
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestFastEqualsSafe writes the same events through the block and through clickhouse-go's Append and compares the rows
// column by column in the database.
func TestFastEqualsSafe(t *testing.T) {
	conn := shared(t).migrated(t, "bw_equal")
	ctx := context.Background()
	if err := conn.Exec(ctx, "CREATE TABLE bw_equal.safe_rows AS bw_equal.event_rows"); err != nil {
		t.Fatal(err)
	}
	safe, err := conn.PrepareBatch(ctx, "INSERT INTO bw_equal.safe_rows ("+strings.Join(safeColumns, ", ")+")")
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	batch, block := testBatch(3, 100), store.NewBlock()
	block.Begin(batch)
	const n = 5000
	for i := range int64(n) {
		ev, v := randomEvent(r, 100+i), &alert.Verdict{}
		switch i {
		case 0:
			ev, v = fullEvent(100), fullVerdict(1)
		case 1:
			ev = emptyEvent(101)
		default:
			if r.IntN(3) == 0 {
				v = fullVerdict(byte(i))
				v.Near, v.Matched = v.Near[:r.IntN(3)], v.Matched[:r.IntN(4)]
			}
		}
		content, _ := ev.ContentDigest(nil)
		block.AppendEvent(ev, content, v)
		if err := safe.Append(safeRow(batch, ev, content, v)...); err != nil {
			t.Fatal(err)
		}
	}
	block.Seal(store.Seal{Last: 100 + n - 1})
	if err := open(t, shared(t).options("bw_equal")).Insert(ctx, block); err != nil {
		t.Fatal(err)
	}
	if err := safe.Send(); err != nil {
		t.Fatal(err)
	}
	for _, c := range safeColumns {
		if d := scalar(t, conn, fmt.Sprintf("SELECT countIf(f.%[1]s != s.%[1]s) FROM bw_equal.event_rows f JOIN bw_equal.safe_rows s USING (offset)", c)); d > 0 {
			t.Errorf("column %s differs in %d of %d rows", c, d, n)
		}
	}
	columns := strings.Join(safeColumns, ", ")
	query := "SELECT count() FROM (SELECT %s FROM bw_equal.%s EXCEPT SELECT %s FROM bw_equal.%s)"
	for _, pair := range [][2]string{{"event_rows", "safe_rows"}, {"safe_rows", "event_rows"}} {
		if d := scalar(t, conn, fmt.Sprintf(query, columns, pair[0], columns, pair[1])); d > 0 {
			t.Errorf("%d rows of %s are not in %s", d, pair[0], pair[1])
		}
	}
	if got := scalar(t, conn, "SELECT count() FROM bw_equal.event_rows"); got != n {
		t.Errorf("%d rows, want %d", got, n)
	}
}
