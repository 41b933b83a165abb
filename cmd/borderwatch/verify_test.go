package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"borderwatch/consumers/embedded/embeddedtest"
)

// TestPartnerVerifies checks what up stored with the partner's program. borderwatch-verify has the tests that tamper.
func TestPartnerVerifies(t *testing.T) {
	needUp(t)
	program := filepath.Join(t.TempDir(), "borderwatch-verify")
	if out, err := exec.Command("go", "build", "-o", program, "../borderwatch-verify").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f := upFlags{dir: embeddedtest.Dir(t), json: true, rate: 300, seed: 3}
	upUntil(t, f, 20, func(string) {
		state := readState(t, f.dir)
		config := filepath.Join(t.TempDir(), "verify.yaml")
		text := fmt.Sprintf("clickhouse: {hosts: ['127.0.0.1:%d'], username: %s, password: %s}\nkafka: {topics: [%s]}\nfeeds: [{name: cloudtrail, adapter: cloudtrail, topic: %s}]\n",
			state.Ports["clickhouse"], accountVerify, state.Passwords[accountVerify], upTopic, upCloudTrailTopic)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		verify := func(key string) (int, string) {
			cmd := exec.Command(program, "--config", config, "--ledger", filepath.Join(f.dir, "ledger", "tlog"), "--key", key)
			out, _ := cmd.CombinedOutput()
			return cmd.ProcessState.ExitCode(), string(out)
		}
		key := filepath.Join(f.dir, "ledger", "verifier.pub")
		if code, out := verify(key); code != 0 || !strings.Contains(out, "no finding") {
			t.Errorf("an untouched database: exit %d\n%s", code, out)
		}
		if code, out := verify(filepath.Join(f.dir, "state.json")); code != 3 {
			t.Errorf("a file that is no key: exit %d\n%s", code, out)
		}
		if code, out := verify(otherKey(t, key)); code != 1 || !strings.Contains(out, "FINDING signature") {
			t.Errorf("a key that did not sign: exit %d\n%s", code, out)
		}
	})
}

func readState(t *testing.T, dir string) (state homeState) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// otherKey writes a valid public key of the same name that did not sign.
func otherKey(t *testing.T, key string) string {
	t.Helper()
	data, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(string(data), "+")
	_, public := generateKey(t, name)
	file := filepath.Join(t.TempDir(), "other.pub")
	if err := os.WriteFile(file, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func generateKey(t *testing.T, name string) (private, public string) {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}
