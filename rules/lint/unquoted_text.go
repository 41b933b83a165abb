package lint

import (
	"strings"

	"borderwatch/rules/policy"
)

var unquotedText = Check{
	ID:    "unquoted-text",
	Title: "NO, yes, no, on, off or a number like 1.10 is written without quotes",
	Why:   "We read it as text. Other YAML tools read NO as false and 1.10 as 1.1, and may write it back so.",
	run: func(p *pass) {
		p.conditions(func(c *policy.Condition) {
			for i := range c.Values {
				p.unquoted(&c.Values[i])
			}
		})
		for _, g := range p.set.Groups {
			for i := range g.Members {
				p.unquoted(&g.Members[i].Value)
			}
		}
	},
}

func (p *pass) unquoted(v *policy.Value) {
	if v.Plain && (isBooleanWord(v.Text) || isTrimmedNumber(v.Text)) && v.Pos.Line > 0 {
		p.warn(v.Pos, `write "`+v.Text+`"`, "%s without quotes is something else to other YAML tools", v.Text)
	}
}

func isBooleanWord(s string) bool {
	switch strings.ToLower(s) {
	case "no", "yes", "on", "off", "y", "n":
		return true
	}
	return false
}

// isTrimmedNumber reports whether s is a decimal that loses its last zero when it is read as a number.
func isTrimmedNumber(s string) bool {
	whole, fraction, ok := strings.Cut(s, ".")
	return ok && strings.Trim(whole+fraction, "0123456789") == "" && whole != "" && strings.HasSuffix(fraction, "0")
}
