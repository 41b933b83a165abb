package lint

import (
	"fmt"
	"io"
	"strings"

	"borderwatch/rules/policy"
)

//go:generate go test . -run TestPage -update

// WritePage writes the page of all checks, those of the reader first.
func WritePage(w io.Writer) error {
	var out strings.Builder
	out.WriteString(`# Checks

What ` + "`borderwatch rules check`" + ` finds in rules, groups and exceptions. This page is made from the checks themselves: ` + "`go generate ./rules/lint`" + `.

## What cannot be read

A worker refuses a directory with one of these, and goes on with the rules it has.

| check | finds | why |
|---|---|---|
`)
	for _, c := range policy.Checks() {
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", c.ID, c.Title, c.Why)
	}
	out.WriteString(`
Beside these, ` + "`reference`" + ` stands for what the readers of roster, catalogue, entities, networks, approvals and address lists find, ` + "`compile`" + `
for what only all rules together show, and ` + "`ignored`" + ` for files that are not read because of their name.

## What is unwise

The checks marked * concern what can silence a rule: a worker refuses their errors too. The others are for people and for CI.

| check | finds | why |
|---|---|---|
`)
	for _, c := range Checks() {
		mark := ""
		if c.Silences {
			mark = " *"
		}
		fmt.Fprintf(&out, "| `%s`%s | %s | %s |\n", c.ID, mark, c.Title, c.Why)
	}
	_, err := io.WriteString(w, out.String())
	return err
}
