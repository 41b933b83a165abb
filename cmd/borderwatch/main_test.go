package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"borderwatch/consumers/embedded"
	examplefiles "borderwatch/rules/examples"
	"borderwatch/rules/packs"
)

func TestMain(m *testing.M) {
	embedded.MaybeRunChild()
	testscript.Main(m, map[string]func(){"borderwatch": main})
}

// TestScripts runs the command line as its users do. $EXAMPLES are the shipped configurations, $BUNDLE a small bundle,
// $SHIPPED the shipped rules and example company, $BROKER an in-process broker.
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("examples")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := filepath.Abs(filepath.Join("traffic", "testdata", "bundle"))
	if err != nil {
		t.Fatal(err)
	}
	shipped := t.TempDir()
	for name, files := range map[string]fs.FS{"packs": packs.Files, "company": examplefiles.Files} {
		if err := os.CopyFS(filepath.Join(shipped, name), files); err != nil {
			t.Fatal(err)
		}
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"holds": holds, "awaitfile": awaitFile},
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("EXAMPLES", examples)
			e.Setenv("BUNDLE", bundle)
			e.Setenv("SHIPPED", shipped)
			e.Setenv("BROKER", broker.ListenAddrs()[0])
			return nil
		},
	})
}

// holds waits until a topic holds at least a number of records: holds access-events 10.
func holds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: holds topic records")
	}
	want, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	client, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("BROKER")))
	ts.Check(err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		var have int64
		offsets, err := kadm.NewClient(client).ListEndOffsets(ctx, args[0])
		if err == nil {
			offsets.Each(func(o kadm.ListedOffset) { have += max(o.Offset, 0) })
		}
		if have >= want {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s holds %d records, not %d: %v", args[0], have, want, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// awaitFile waits until a running command has made a file: awaitfile dir/file.
func awaitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: awaitfile file")
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("there is no %s", args[0])
		}
		time.Sleep(20 * time.Millisecond)
	}
}
