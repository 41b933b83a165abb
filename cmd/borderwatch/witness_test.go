package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPartnerWitness runs the partner's witness as its own program and follows the documentation of both sides: keys, a
// ledger whose checkpoints it cosigns, and a new key of the log.
func TestPartnerWitness(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "borderwatch-verify")
	if out, err := exec.Command("go", "build", "-o", program, "../borderwatch-verify").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	witnessKey := filepath.Join(dir, "witness.key")
	public, err := exec.Command(program, "witness", "--new-key", "partner.example/witness", "--key", witnessKey).Output()
	if err != nil {
		t.Fatal(err)
	}
	logDir, next := filepath.Join(dir, "ledger"), filepath.Join(dir, "signing.next")
	if err := os.Mkdir(logDir, 0o700); err != nil {
		t.Fatal(err)
	}
	keys := runRoot(t, "ledger", "keygen", "ledger.example/test", "--out", filepath.Join(logDir, "signing.key")) +
		runRoot(t, "ledger", "keygen", "ledger.example/test", "--out", next)
	address := startWitness(t, program, witnessKey, dir, keys)
	config := filepath.Join(dir, "ledger.yaml")
	text := "ledger:\n  dir: " + logDir + "\n  serve:\n    listen: 127.0.0.1:0\n    tokens: " + workerToken + "\n    witnesses:\n      - url: http://" + address +
		"\n        key: " + strings.TrimSpace(string(public)) + "\nhttp: {listen: '127.0.0.1:0'}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	first := startLedgerFile(t, config)
	if _, err := ledgerAt(t, first.address, workerToken).Append(t.Context(), ledgerLeaf(0, -1)); err != nil {
		t.Fatal(err)
	}
	cosigned(t, first, 1)
	age := regexp.MustCompile(`borderwatch_ledger_cosignature_age_seconds (\S+)`).FindStringSubmatch(httpGet(t, "http://"+first.ops+"/metrics"))
	if age == nil || strings.Contains(age[1], "Inf") {
		t.Errorf("age of the cosignature: %v", age)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if out := runRoot(t, "ledger", "rotate-key", "--config", config, "--new-key", next); !strings.Contains(out, strings.Fields(keys)[1]) {
		t.Errorf("rotate-key says\n%s", out)
	}
	again := startLedgerFile(t, config)
	if _, err := ledgerAt(t, again.address, workerToken).Append(t.Context(), ledgerLeaf(10, 0)); err != nil {
		t.Fatal(err)
	}
	cosigned(t, again, 3) // with the rotation
}

// runRoot runs a command of borderwatch and returns what it prints.
func runRoot(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return out.String()
}

func startWitness(t *testing.T, program, key, dir, logs string) string {
	t.Helper()
	file, said := filepath.Join(dir, "logs"), new(output)
	if err := os.WriteFile(file, []byte(logs), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "witness", "--key", key, "--logs", file, "--dir", filepath.Join(dir, "witness"), "--listen", "127.0.0.1:0")
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return said.await(t, `msg=witness address=(\S+)`)
}

// cosigned waits for a published checkpoint over n leaves, which has the witness's signature.
func cosigned(t *testing.T, l *runningLedger, n int) {
	t.Helper()
	var text string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		checkpoint, err := ledgerAt(t, l.address, "").Checkpoint(context.WithoutCancel(t.Context()))
		if text = string(checkpoint); err == nil && strings.Contains(text, "\n"+string(rune('0'+n))+"\n") {
			if !strings.Contains(text, "\n— partner.example/witness ") {
				t.Errorf("not cosigned:\n%s", text)
			}
			return
		}
	}
	t.Fatalf("no checkpoint over %d leaves, the last one is\n%s", n, text)
}
