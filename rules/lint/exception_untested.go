package lint

import (
	"borderwatch/rules/policy"
	"borderwatch/schemas/alert"
)

var exceptionUntested = Check{
	ID:    "exception-untested",
	Title: "an exception lacks a test that it suppresses or a test that it ends",
	Why:   "An exception that does not cover what it was asked for is found out at night; one that never ends is never found out.",
	run: func(p *pass) {
		for _, x := range p.set.Exceptions {
			if !anyCase(x.Tests, func(c *policy.Case) bool { return c.Expect == alert.Suppressed }) {
				p.report(x.Place("tests"), "", "the exception %s has no test that expects suppressed", x.ID)
			}
			if !anyCase(x.Tests, func(c *policy.Case) bool { return expired(c, x) }) {
				p.report(x.Place("tests"), "", "the exception %s has no test after %s that expects alert", x.ID, x.ValidUntil)
			}
		}
	},
}
