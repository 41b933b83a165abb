package store_test

import (
	"bytes"
	"testing"

	"borderwatch/consumers/store"
)

// TestRawRoundTrip stores records that are hard on encodings and reads the very bytes back, null and empty apart.
func TestRawRoundTrip(t *testing.T) {
	conn := shared(t).migrated(t, "bw_raw")
	records := []struct {
		key, value []byte
		headers    []store.Header
		nulls      uint32
	}{
		{nil, nil, nil, 3},
		{[]byte{}, []byte{}, nil, 0},
		{[]byte("k"), nil, []store.Header{{Key: []byte("a"), Value: nil}, {Key: []byte("a"), Value: []byte{}}}, 2 | 4},
		{[]byte{0, 255, 128}, bytes.Repeat([]byte("\x00\xff日本"), 1000), []store.Header{{Key: []byte("trace"), Value: []byte{1, 0, 2}}}, 0},
		{nil, bytes.Repeat([]byte("x"), 1<<20), nil, 1},
	}
	b := store.NewBlock()
	b.Begin(testBatch(0, 0))
	for i, r := range records {
		b.AppendRaw(int64(i), testTime, r.key, r.value, r.headers)
		b.AppendDeadLetter(store.DeadLetter{Offset: int64(i), Timestamp: testTime, Code: "c", Reason: "r", Position: -1, Key: r.key, Value: r.value, Headers: r.headers})
	}
	b.Seal(store.Seal{Last: int64(len(records)) - 1})
	if err := open(t, shared(t).options("bw_raw")).Insert(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"raw_rows", "dead_letter_rows"} {
		for i, r := range records {
			var key, value string
			var headerKeys, headerValues []string
			var nulls uint32
			row := conn.QueryRow(t.Context(), "SELECT key, value, header_keys, header_values, nulls FROM bw_raw."+table+" WHERE offset = $1", i)
			if err := row.Scan(&key, &value, &headerKeys, &headerValues, &nulls); err != nil {
				t.Fatal(err)
			}
			if key != string(r.key) || value != string(r.value) || nulls != r.nulls || len(headerKeys) != len(r.headers) {
				t.Errorf("%s, record %d: key %q, %d bytes, nulls %b, %d headers", table, i, key, len(value), nulls, len(headerKeys))
			}
			for k, h := range r.headers {
				if headerKeys[k] != string(h.Key) || headerValues[k] != string(h.Value) {
					t.Errorf("%s, record %d, header %d: %q=%q", table, i, k, headerKeys[k], headerValues[k])
				}
			}
		}
	}
}
