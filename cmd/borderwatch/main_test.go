package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"borderwatch/consumers/embedded"
)

func TestMain(m *testing.M) {
	embedded.MaybeRunChild()
	testscript.Main(m, map[string]func(){"borderwatch": main})
}

// TestScripts runs the command line as its users do. $EXAMPLES are the shipped configurations, $BUNDLE a small bundle.
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("examples")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := filepath.Abs(filepath.Join("traffic", "testdata", "bundle"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("EXAMPLES", examples)
			e.Setenv("BUNDLE", bundle)
			return nil
		},
	})
}
