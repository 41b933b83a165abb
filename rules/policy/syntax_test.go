package policy_test

import (
	"strings"
	"testing"

	"borderwatch/rules/policy"
)

// TestSyntax makes the commonest slips of YAML in a file that is right without them, and wants each told once, at its
// place and in plain words.
func TestSyntax(t *testing.T) {
	const file = `format: borderwatch/rule/v1
id: T-1
title: A rule
status: active
severity: high
law: ["GDPR Art. 32", "Policy DP-7"]
why: 'it is'
when:
  data.classes: restricted
  action: read
  location.country not: [DE, FR]
tests:
  - name: one
    event: {time: 2026-11-20T09:00:00Z, action: read, location.country: CN}
    expect: alert
`
	for _, tt := range []struct{ name, old, slip, want string }{
		{"list not closed", `"Policy DP-7"]`, `"Policy DP-7"`, "6:6: the list that [ opens is not closed"},
		{"list not closed in when", `[DE, FR]`, `[DE, FR`, "11:25: the list that [ opens is not closed"},
		{"no comma in a list", `"GDPR Art. 32", `, `"GDPR Art. 32" `, "6:6: the list that [ opens is not closed, or a comma or a quote is missing"},
		{"map not closed", `country: CN}`, `country: CN`, "14:12: the map that { opens is not closed"},
		{"no comma in a map", `Z, action`, `Z action`, "14:12: the map that { opens is not closed, or a comma"},
		{"quote in quotes", `'it is'`, `'it's'`, "7:10: text follows behind a closing quote (inside '…' write ''"},
		{"text behind quotes", `'it is'`, `"it" is`, "7:11: text follows behind a closing quote"},
		{"one deeper line", `  action`, `   action`, "10:4: the line is indented unlike the lines it belongs to"},
		{"first line deeper", `  data`, `   data`, "10:3: the line is indented unlike the lines it belongs to"},
		{"key deeper", `    expect`, `   expect`, "15:4: the line is indented unlike the lines it belongs to"},
		{"tab", `  action`, "\taction", "10:1: the line is indented with a tab; YAML wants spaces"},
		{"second colon", `A rule`, `A rule: new`, "3:1: the line has a second colon followed by a space (put the text"},
		{"no colon", `status: active`, `status active`, "4:1: the line is not of the form key: value"},
		{"quote never closed", `'it is'`, `'it is`, "7:1: a quote is opened here and never closed"},
		{"list cut off", "[DE, FR]\n" + file[strings.Index(file, "tests:"):], "[", "11:1: a value is missing here"},
		{"at sign", `[DE, FR]`, `@eea`, "11:1: a value cannot begin like this (put it in quotes)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(file, tt.old, tt.slip, 1)
			if text == file {
				t.Fatal("the slip is not made")
			}
			_, problems := policy.Read([]policy.Document{{Path: "a.yaml", Data: []byte(text)}})
			if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), "a.yaml:"+tt.want) {
				t.Errorf("got\n%s\nwant\na.yaml:%s", problems, tt.want)
			}
		})
	}
	if _, problems := policy.Read([]policy.Document{{Path: "a.yaml", Data: []byte(file)}}); len(problems) > 0 {
		t.Error(problems)
	}
}
