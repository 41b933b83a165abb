package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"borderwatch/cmd/borderwatch/config"
)

// TestExamplesAreAccepted prints every example as ingest does, under no other environment than its own.
func TestExamplesAreAccepted(t *testing.T) {
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	var adapters []string
	for _, file := range files {
		needs := ingestNeeds
		switch filepath.Base(file) {
		case "ledger.yaml":
			needs = ledgerNeeds
		case "console.yaml":
			needs = consoleNeeds
		case "erase.yaml":
			needs = eraseNeeds
		case "migrate.yaml":
			needs = config.NeedClickHouse
		}
		loaded, err := config.Load(config.Options{File: file, Needs: needs})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		var out bytes.Buffer
		if err := printConfig(&out, loaded); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, f := range loaded.Feeds {
			adapters = append(adapters, f.Adapter)
		}
	}
	for _, adapter := range config.Adapters {
		if _, err := os.Stat("examples/feed-" + adapter + ".yaml"); err != nil || !slices.Contains(adapters, adapter) {
			t.Errorf("there is no example for the adapter %s: %v", adapter, err)
		}
	}
}

// TestExamplesAreTheManual fails where a key has no line in the example of its command, or an example's defaults drifted.
func TestExamplesAreTheManual(t *testing.T) {
	for _, key := range config.Keys() {
		file := "examples/ingest.yaml"
		if strings.HasPrefix(key, "ledger.serve") {
			file = "examples/ledger.yaml"
		}
		if strings.HasPrefix(key, "erase") {
			file = "examples/erase.yaml"
		}
		if strings.HasPrefix(key, "console") {
			file = "examples/console.yaml"
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := key[strings.LastIndexByte(key, '.')+1:]
		if !regexp.MustCompile(`(?m)(^|[ {])(# )?` + regexp.QuoteMeta(name) + `:`).Match(text) {
			t.Errorf("%s says nothing of %s", file, key)
		}
	}
	loaded, err := config.Load(config.Options{File: "examples/ingest.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	def := config.Default()
	if loaded.Batch != def.Batch || loaded.Limits != def.Limits || loaded.HTTP != def.HTTP || loaded.Kafka.Fetch != def.Kafka.Fetch {
		t.Error("examples/ingest.yaml shows other values than the defaults for batch, limits, http or kafka.fetch")
	}
}
