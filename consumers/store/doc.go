// Package store writes batches to ClickHouse and asks it what the rest of borderwatch needs to know.
//
// A [Block] is filled column by column in the native format while events are judged, without allocating per event, and
// is sent as it is: one insert, one block, one table partition, one deduplication token per table. The order of
// [Store.Insert] is the promise: alerts, raw records, events, dead letters, and then the receipt that makes all of them
// visible in the views at once. Every step can be repeated until it is known to have happened.
//
// Hot inserts speak the native protocol through ch-go, the layer below clickhouse-go; everything else goes through
// clickhouse-go. decisions.md in schemas/clickhouse has the measurement behind that.
package store
