// Package examples holds the files of a fictitious company, Example Social: exceptions to the shipped rules and the
// reference files (roster, catalogue, entities, networks, approvals). Nobody and nothing in them exists.
package examples

import "embed"

// Files has one folder for each kind of file.
//
//go:embed exceptions
var Files embed.FS
