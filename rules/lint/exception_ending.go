package lint

var exceptionEnding = Check{
	ID:    "exception-ending",
	Title: "an exception ends within 14 days or has ended",
	Why:   "Its alerts come back on the day after; whoever relies on it should hear before.",
	run: func(p *pass) {
		for _, x := range p.set.Exceptions {
			switch left := x.ValidUntil - p.day; {
			case left < 0:
				p.warn(x.Place("valid_until"), "move it to the archive", "the exception %s ended on %s", x.ID, x.ValidUntil)
			case left <= endingDays:
				p.warn(x.Place("valid_until"), "", "the exception %s ends in %d days, on %s", x.ID, left, x.ValidUntil)
			}
		}
	},
}

const endingDays = 14
