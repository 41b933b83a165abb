package kafka

import "sync/atomic"

// Counters counts what a client did since it was made. All fields only grow;
// the owner of the metrics reads them with Load. The zero value is ready.
type Counters struct {
	Fetches    atomic.Int64 // answered fetches
	Bytes      atomic.Int64 // bytes of record batches on the wire
	Records    atomic.Int64 // records handed out
	Control    atomic.Int64 // offsets of control batches
	Aborted    atomic.Int64 // offsets of aborted transactions
	Compacted  atomic.Int64 // offsets that no longer hold a record
	Corrupt    atomic.Int64 // batches refused for CRC or structure
	TooLarge   atomic.Int64 // batches refused for their size
	OutOfRange atomic.Int64 // fetches of offsets that the log does not hold
	Retries    atomic.Int64 // requests tried again, of every kind
	Rebalances atomic.Int64 // generations begun
	Commits    atomic.Int64 // accepted offset commits
	Fenced     atomic.Int64 // commits refused for an old generation or member
	Produced   atomic.Int64 // acknowledged produced messages
}
