// Package packs holds the rules and groups that ship with borderwatch, as compliance reads and edits them: baseline
// (insider access and places that are not known well enough), eu (GDPR and the policy of an enclave) and us (28 CFR 202).
// What is law carries its reference; every number or list that is a choice is marked as a starting value.
package packs

import "embed"

// Files has one folder for each pack: baseline, eu and us.
//
//go:embed baseline/*.yaml eu/*.yaml us/*.yaml
var Files embed.FS
