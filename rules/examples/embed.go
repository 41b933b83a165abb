// Package examples holds the files of a fictitious company, Example Social: exceptions to the shipped rules and the
// reference files (roster, catalogue, entities, networks, approvals). Nobody and nothing in them exists.
package examples

import "embed"

// Files has the folders exceptions and reference; reference/lists has the address lists that reference/networks.yaml
// names.
//
//go:embed exceptions reference
var Files embed.FS
