// Package pipeline owns a batch from fetch to commit. It is the one package that knows every stage:
//
//	fetch → decode → enrich → evaluate → ledger → insert → receipt → commit
//
// A batch is a run of consecutive offsets of one partition, judged by one bundle. Every offset in it is accounted for: as
// an event, a dead letter, a control record or a compacted gap. Its boundaries, bundle and time are recorded durably in
// the ledger before anything is written, so whoever takes the partition over makes exactly the same rows again; inserts
// carry deduplication tokens, and rows become visible with the batch's receipt. Hence nothing is lost and nothing shows
// twice, whatever dies in between.
//
// Goroutines live here: the stages are synchronous. A Worker runs one partition loop for each partition it is assigned;
// a loop reads ahead, judges into one block while those before it are delivered, and hands blocks over in order. Their leaves
// go to the ledger in that order; the inserts of a few of them run beside each other (window).
package pipeline
