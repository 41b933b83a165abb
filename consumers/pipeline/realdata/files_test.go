package realdata_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"borderwatch/consumers/embedded/embeddedtest"
)

func TestMain(m *testing.M) { embeddedtest.Main(m) }

// dataDir is the folder of real records beside the repository.
func dataDir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	data := filepath.Join(dir, "..", "shared", "data")
	if _, err := os.Stat(data); err != nil {
		t.Skip("SKIPPED, NOT TESTED: there are no real records at ../shared/data")
	}
	return data
}

// glob names the files of the real records that match.
func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dataDir(t), pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	return files
}

// read returns a file's bytes, unpacked.
func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return data
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return data
}

// jsonValues are the JSON values of the files that match, in their own bytes: one after another, or a list of them.
// member picks one member of each where the record is wrapped.
func jsonValues(t testing.TB, pattern, member string) [][]byte {
	t.Helper()
	var all [][]byte
	for _, file := range glob(t, pattern) {
		dec := json.NewDecoder(bytes.NewReader(read(t, file)))
		for dec.More() {
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, unwrap(t, value, member)...)
		}
	}
	return all
}

func unwrap(t testing.TB, value json.RawMessage, member string) (out [][]byte) {
	t.Helper()
	if value[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			out = append(out, v)
		}
		return out
	}
	if member == "" {
		return [][]byte{value}
	}
	var wrapped map[string]json.RawMessage
	if err := json.Unmarshal(value, &wrapped); err != nil {
		t.Fatal(err)
	}
	return [][]byte{wrapped[member]}
}

func textLines(t testing.TB, pattern string) [][]byte {
	t.Helper()
	var all [][]byte
	for _, file := range glob(t, pattern) {
		all = append(all, bytes.Split(bytes.TrimSpace(read(t, file)), []byte{'\n'})...)
	}
	return all
}
