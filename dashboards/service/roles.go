package service

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what a person is here for. A person may have several.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"   // reads cases and alerts
	Analyst  Role = "analyst"  // works on them
	Author   Role = "author"   // writes rules
	Approver Role = "approver" // approves what an author wrote
	Operator Role = "operator" // keeps it running
	Partner  Role = "partner"  // the independent witness: reads everything, changes nothing
)

// Roles lists all roles.
var Roles = []Role{Viewer, Analyst, Author, Approver, Operator, Partner}

// ParseRole reads a role's word.
func ParseRole(word string) (Role, error) {
	if r := Role(word); slices.Contains(Roles, r) {
		return r, nil
	}
	return "", fmt.Errorf("%q is no role: viewer, analyst, author, approver, operator or partner", word)
}

// The channels through which a person acts.
const (
	Page = "page"
	API  = "api"
)

// Person is somebody who has signed in.
type Person struct {
	Name    string
	Roles   []Role
	Channel string // Page or API
}

// Has tells whether the person has a role.
func (p Person) Has(r Role) bool { return slices.Contains(p.Roles, r) }

func (p Person) words() string {
	words := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		words[i] = string(r)
	}
	return strings.Join(words, " ")
}

// Operation is one thing that can be done. Its word is in records and in the OpenAPI document.
type Operation string

// The operations.
const (
	ListCases       Operation = "list_cases"
	ReadCase        Operation = "read_case"
	ReadAlert       Operation = "read_alert"
	ListAlerts      Operation = "list_alerts"
	ExportAlerts    Operation = "export_alerts"
	ReadCharts      Operation = "read_charts"
	TakeCase        Operation = "take"
	CommentCase     Operation = "comment"
	AcknowledgeCase Operation = "acknowledge"
	ConfirmCase     Operation = "confirm"
	CloseCase       Operation = "close"
	ReopenCase      Operation = "reopen"
	ListNotices     Operation = "list_notices"
	ReadPartner     Operation = "read_partner"
	ReadOperations  Operation = "read_operations"
	ListActions     Operation = "list_actions"
	ManageTokens    Operation = "manage_tokens"
)

var everybody = Roles

// permissions is the whole of who may do what.
var permissions = map[Operation][]Role{
	ListCases:       everybody,
	ReadCase:        everybody,
	ReadAlert:       everybody,
	ListAlerts:      everybody,
	ReadCharts:      everybody,
	ListNotices:     everybody,
	ManageTokens:    everybody, // one's own
	ExportAlerts:    {Analyst, Partner},
	TakeCase:        {Analyst},
	CommentCase:     {Analyst},
	AcknowledgeCase: {Analyst},
	ConfirmCase:     {Analyst},
	CloseCase:       {Analyst},
	ReopenCase:      {Analyst},
	ReadPartner:     {Partner},
	ReadOperations:  {Operator, Analyst},
	ListActions:     {Operator, Approver, Partner},
}

// Operations lists all operations in the order of their words.
func Operations() []Operation {
	out := make([]Operation, 0, len(permissions))
	for op := range permissions {
		out = append(out, op)
	}
	slices.Sort(out)
	return out
}

// Allowed tells whether a person may do something.
func Allowed(p Person, op Operation) bool {
	return slices.ContainsFunc(permissions[op], p.Has)
}

// RolesFor lists the roles that may do something.
func RolesFor(op Operation) []Role { return slices.Clone(permissions[op]) }
