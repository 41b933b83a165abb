package engine

import (
	"crypto/sha256"
	"encoding/binary"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// The versions that start what is hashed, so that a change of an encoding changes every digest.
const (
	alertVersion   = "bw-alert/v1"
	caseVersion    = "bw-case/v1"
	judgingVersion = "bw-judging/v1"
)

// encoder builds what is hashed: every part with its length, so that no two lists of parts encode alike.
type encoder []byte

func (b encoder) text(s string) encoder {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (b encoder) number(n uint64) encoder { return binary.BigEndian.AppendUint64(b, n) }

func (b encoder) digest() access.Digest {
	sum := sha256.Sum256(b)
	return access.Digest(sum[:16])
}

// judgingDigest covers what makes a rule's answer: kind, conditions as written and on_unknown. Title, texts, severity
// and exceptions are not in it, so an alert whose rule changes in these stays the same alert. Groups are in it by name:
// the bundle digest beside every alert tells their members.
func judgingDigest(r *policy.Rule) access.Digest {
	b := encoder(nil).text(judgingVersion).text(r.Kind.String()).number(uint64(r.OnUnknown)).number(uint64(len(r.When.All)))
	for i := range r.When.All {
		b = b.text(r.When.All[i].String())
	}
	b = b.number(uint64(len(r.When.Any)))
	for _, branch := range r.When.Any {
		b = b.number(uint64(len(branch)))
		for i := range branch {
			b = b.text(branch[i].String())
		}
	}
	return b.digest()
}

// identify gives an alert its id and its case.
func (j *judgement) identify(a *alert.Item) {
	var room [512]byte
	b := encoder(room[:0]).text(alertVersion).text(j.ev.Source.Scope).text(j.ev.ID)
	b = append(b, j.content[:]...)
	b = b.text(a.RuleID)
	if r := j.engine.byID[a.RuleID]; r != nil {
		b = append(b, r.judging[:]...)
	} else {
		b = b.number(uint64(a.Missing)) // the sorted missing fields
	}
	a.ID = append(b, shadowByte(a.Shadow)).digest()

	b = encoder(room[:0]).text(caseVersion)
	if a.CaseKind == alert.CaseGap {
		b = b.text(j.ev.Source.Feed).text(dataItem(j.ev, a.DataItem).System).text(gapReason(j.ev, a, j.late(a))).number(uint64(a.Severity))
	} else {
		b = b.text(a.RuleID).text(j.ev.Actor.ID)
		for _, word := range j.ev.Location.Candidates {
			b = b.number(word)
		}
	}
	a.Case = append(b, shadowByte(a.Shadow)).digest()
}

// late reports whether the alert is about when the event arrived, so that the place is no part of its case.
func (j *judgement) late(a *alert.Item) bool {
	r := j.engine.byID[a.RuleID]
	return r != nil && r.kind == policy.KindLateArrival
}

// gapReason says what the members of a gap case have in common: what has to be mended first. As long as nobody has said
// whose data it is or how grave, the catalogue has to be, and neither who nor where decides anything; else the finding
// about the place where the place is part of it, and the files or feeds that would cure the rest. It does not go down to
// single fields: which of them a rule misses depends on the action, and one unlisted data store would open a case for
// each. Whoever hides behind an anonymiser does so on purpose and stays apart from mere gaps.
func gapReason(ev *access.Event, a *alert.Item, late bool) string {
	reason, missing := "", a.Missing
	switch {
	case a.RuleID == alert.UnknownRule && missing&uncatalogued != 0:
		return cureCatalogue + anonymised(ev)
	case late:
		reason = "arrival/" + ev.Arrival().String()
	case a.RuleID != alert.UnknownRule || missing&placeFields != 0:
		reason = ev.Location.Verdict.String() + "/" + ev.Location.Reason
	}
	for _, cure := range cures {
		if missing&cure.fields != 0 {
			reason += "," + cure.name
		}
		missing &^= cure.fields
	}
	for _, name := range (missing &^ placeFields).Names() {
		reason += "," + name
	}
	return reason
}

// anonymised is ",anonymiser" where the place is masked by a network whose purpose that is.
func anonymised(ev *access.Event) string {
	if ev.Location.Verdict == access.LocationMasked {
		switch ev.Network.Kind {
		case access.NetworkTor, access.NetworkVPN, access.NetworkProxy, access.NetworkRelay:
			return ",anonymiser"
		}
	}
	return ""
}

// uncatalogued are the fields of which one is missing as long as nobody has said what a data set holds.
const uncatalogued = access.FieldSet(1<<access.FieldSubjectRegions | 1<<access.FieldClasses)

// placeFields are location.*.
const placeFields = access.FieldSet(1<<access.FieldLocationCountry | 1<<access.FieldLocationVerdict | 1<<access.FieldLocationExpected | 1<<access.FieldLocationConfidence)

const cureCatalogue = "catalogue"

// cures are the reference files, and the fields that they fill in.
var cures = []struct {
	name   string
	fields access.FieldSet
}{
	{"roster", 1<<access.FieldActorKind | 1<<access.FieldActorEmployerCountry | 1<<access.FieldActorEmployerEntity | 1<<access.FieldActorHomeCountry |
		1<<access.FieldActorCoveredPerson | 1<<access.FieldActorEmployment},
	{cureCatalogue, 1<<access.FieldDataset | 1<<access.FieldSystem | 1<<access.FieldSubjectRegions | 1<<access.FieldClasses | 1<<access.FieldCategories |
		1<<access.FieldForm | 1<<access.FieldExporterEntity | 1<<access.FieldStorageCountry},
}

// dataItem is the item of an alert, an empty one where the event has none.
func dataItem(ev *access.Event, i int) *access.Item {
	if i < 0 || i >= len(ev.Data.Items) {
		return &access.Item{}
	}
	return &ev.Data.Items[i]
}

func shadowByte(shadow bool) byte {
	if shadow {
		return 1
	}
	return 0
}
