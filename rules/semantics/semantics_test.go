package semantics_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"borderwatch/rules/semantics"
)

var update = flag.Bool("update", false, "write README.md anew")

// TestPage checks that the table is complete and that the page is the one it makes.
func TestPage(t *testing.T) {
	points, err := semantics.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := semantics.Page(points)
	if *update {
		if err := os.WriteFile("README.md", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("README.md is not what the table makes; run go generate ./rules/semantics")
	}
}
