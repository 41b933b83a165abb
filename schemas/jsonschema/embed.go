// Package jsonschema holds the JSON Schemas (draft 2020-12) of the event and of every file format, for editors and for
// producers. Files are read more strictly than a schema can say; the readers' messages name line and column.
package jsonschema

import "embed"

// Files holds NAME.schema.json.
//
//go:embed *.json
var Files embed.FS
