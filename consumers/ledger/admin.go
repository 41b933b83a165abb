package ledger

import "time"

// Admin is the leaf of something that a person did to the system (admin/v1): the watchers are in the same log as the
// watched.
type Admin struct {
	Action  string    // one word: redrive, migrate, export, erase, grant, triage
	Subject string    // what it was done to, such as access-events/3/51877
	By      string    // who did it
	Note    string    // why, and by which ticket
	Digest  [32]byte  // SHA-256 of what was produced or changed, zero where there is nothing to hash
	Time    time.Time // milliseconds, UTC
}

// Marshal implements Leaf.
func (a Admin) Marshal() []byte {
	t := lines(kindAdmin+"\n").text("action", a.Action).text("subject", a.Subject).text("by", a.By).text("note", a.Note)
	return t.digest("digest", a.Digest).time("time", a.Time)
}

// Validate implements Leaf.
func (a Admin) Validate() error {
	if err := validateWord("action", a.Action, maxTextLen); err != nil {
		return err
	}
	for _, text := range []struct{ field, value string }{{"subject", a.Subject}, {"by", a.By}, {"note", a.Note}} {
		if err := validateText(text.field, text.value, maxTextLen); err != nil {
			return err
		}
	}
	return validateTime("time", a.Time)
}

func readAdmin(r *lineReader) Admin {
	return Admin{
		Action: r.text("action"), Subject: r.text("subject"), By: r.text("by"), Note: r.text("note"),
		Digest: r.digest("digest"), Time: r.time("time"),
	}
}
