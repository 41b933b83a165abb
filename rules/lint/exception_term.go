package lint

var exceptionTerm = Check{
	ID:       "exception-term",
	Title:    "an exception is valid for more than 90 days",
	Why:      "What lasts longer is no exception but a rule, and should be one.",
	Silences: true,
	run: func(p *pass) {
		for _, x := range p.set.Exceptions {
			if days := int(x.ValidUntil-x.ValidFrom) + 1; days > maxExceptionDays {
				p.report(x.Place("valid_until"), "the last day can be "+(x.ValidFrom+maxExceptionDays-1).String(), "the exception %s is valid for %d days, the limit is %d", x.ID, days, maxExceptionDays)
			}
		}
	},
}

const maxExceptionDays = 90
