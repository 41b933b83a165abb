// Package realdata holds tests that send records which nobody on this project wrote through the whole path: web edits and
// reads, cloud audit trails, and addresses whose country somebody else has labelled. The records lie beside the
// repository, in ../shared/data; where they are absent the tests skip. None of them is in the repository.
package realdata
