package store

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// HaltError says that trying again cannot help: the partition stops and somebody is called. Nothing is skipped.
type HaltError struct {
	Code int32 // of ClickHouse, 0 where the block itself is at fault
	Err  error
}

func (e *HaltError) Error() string { return fmt.Sprintf("insert refused for good: %v", e.Err) }

// Unwrap returns the cause.
func (e *HaltError) Unwrap() error { return e.Err }

// halting are the codes of ClickHouse behind which is a mistake in schema, rights or configuration.
var halting = map[int32]bool{
	16:  true, // NO_SUCH_COLUMN_IN_TABLE
	33:  true, // CANNOT_READ_ALL_DATA
	47:  true, // UNKNOWN_IDENTIFIER
	53:  true, // TYPE_MISMATCH
	60:  true, // UNKNOWN_TABLE
	81:  true, // UNKNOWN_DATABASE
	115: true, // UNKNOWN_SETTING
	131: true, // TOO_LARGE_STRING_SIZE
	164: true, // READONLY
	192: true, // UNKNOWN_USER
	469: true, // VIOLATED_CONSTRAINT
	497: true, // ACCESS_DENIED
	516: true, // AUTHENTICATION_FAILED
}

// passing are the codes that go away by themselves: overload, memory, space, Keeper, a connection lost on the way. Memory
// is among them because a smaller batch would be another batch.
var passing = map[int32]bool{
	159: true, 202: true, 209: true, 210: true, 241: true, 242: true, 243: true, 252: true, 285: true, 286: true, 319: true, 999: true,
}

// What a server without any of our tables answers.
const (
	codeUnknownTable    = 60
	codeUnknownDatabase = 81
)

// serverCode returns ClickHouse's code, 0 where the server did not answer: then the outcome is unknown.
func serverCode(err error) int32 {
	if e, ok := ch.AsException(err); ok {
		return int32(e.Code)
	}
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
