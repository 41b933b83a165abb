// Package notice finds what no single event shows: an event id that came again with other content, an exception past its
// limit, gaps and repeats in a feed's numbers, a feed that went silent, and late events by the thousand.
//
// It asks stored rows, at fixed stretches of batch time, and never the judging path: batch times and the order of batches
// are in the ledger, so that another worker that asks again, after a crash or years later, finds the same and makes
// notices of the same ids. What is found is stored once in the table notices, is in no leaf's count of alerts, and opens
// a case of its kind and subject (view notice_cases).
package notice
