// Package enrich completes a data-access event from the reference files of one bundle: where the access really came
// from, which network that was, who the actor is, what the data set holds, whether the approval is in force.
//
// Everything is a function of the event and the bundle: no clock, no network, no other event. Entries are valid by the
// day (UTC) of the event's own time. What is added lands in the event's Ref fields beside what the source said, so that
// a producer cannot talk a data set down and a disagreement stays visible.
//
// The reference files are YAML: roster, catalogue, entities, networks, approvals (see the schemas/jsonschema files of
// the same names). A networks file names address lists; the location databases are mmdb files.
package enrich
