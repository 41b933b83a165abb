package main

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// clean is what an honest operator's database gives, by all commands.
func (r *rig) clean(t *testing.T) {
	ok := func(args ...string) string {
		t.Helper()
		code, out := r.verify(t, args...)
		if code != exitOK {
			t.Fatalf("%q: exit %d\n%s", args[0], code, out)
		}
		return out
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "state.json")
	if out := ok(r.all("--state", state)...); !strings.Contains(out, "no finding") || strings.Contains(out, " 0 batches") {
		t.Errorf("the first run:\n%s", out)
	}
	if out := ok(r.all("--state", state)...); !strings.Contains(out, " 0 batches") {
		t.Errorf("a second run reads what is not new:\n%s", out)
	}
	if out := ok(r.all("--state", state, "--whole")...); strings.Contains(out, " 0 batches") {
		t.Errorf("a whole run leaves something out:\n%s", out)
	}
	site := httptest.NewServer(http.FileServer(http.Dir(r.tlog())))
	defer site.Close()
	ok(append(append([]string{"rows"}, r.all()...), "--ledger", site.URL)...)
	ok(append([]string{"alerts"}, r.all()...)...)
	if out := ok(append([]string{"sample", "--n", "20"}, r.all()...)...); !strings.Contains(out, " events that did not alert, of 369 events; 0 come out otherwise; with 95 % confidence at most 1") {
		t.Errorf("a sample:\n%s", out)
	}
	var id string
	r.must(r.conn.QueryRow(t.Context(), "SELECT lower(hex(min(alert_id))) FROM "+r.database+".alert_rows").Scan(&id))
	if out := ok(append([]string{"alert", id}, r.all()...)...); !strings.Contains(out, id) || !strings.Contains(out, "the same rows, byte for byte") {
		t.Errorf("a certificate:\n%s", out)
	}
	pack := filepath.Join(dir, "pack.zip")
	ok(append([]string{"export", "--out", pack, "--where", "severity >= 'high'"}, r.all()...)...)
	if out := ok("check", pack, "--key", r.key()); strings.Contains(out, " 0 records judged") {
		t.Errorf("a pack:\n%s", out)
	}
	ok(append([]string{"export", "--out", pack, "--alert", id}, r.all()...)...)
	r.packs(t, pack)
}

// packs edits a pack in every part.
func (r *rig) packs(t *testing.T, pack string) {
	for name, edit := range map[string]func(p *Pack){
		"signature":     func(p *Pack) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n", "\n1", 1) },
		"leaf":          func(p *Pack) { p.Batches[0].Leaf = strings.Replace(p.Batches[0].Leaf, "compacted=0", "compacted=1", 1) },
		"events":        func(p *Pack) { p.row("event_rows").Canonical[60] ^= 1 },
		"alerts":        func(p *Pack) { p.row("alert_rows").Salt[0] ^= 1 },
		"records":       func(p *Pack) { p.row("raw_rows").Position++ },
		"alerts_differ": func(p *Pack) { p.drop("alert_rows") },
		"events_differ": func(p *Pack) { p.drop("event_rows") },
		"bundle": func(p *Pack) {
			for name, part := range p.files {
				if strings.HasPrefix(name, "parts/") {
					part[0] ^= 1
				}
			}
		},
	} {
		p, err := readPack(pack)
		r.must(err)
		edit(p)
		file := filepath.Join(t.TempDir(), "pack.zip")
		var zipped bytes.Buffer
		r.must(p.write(&zipped))
		r.must(os.WriteFile(file, zipped.Bytes(), 0o600))
		if code, out := r.verify(t, "check", file, "--key", r.key()); code != exitFinding || !strings.Contains(out, "FINDING "+name+" ") {
			t.Errorf("a pack with another %s: exit %d\n%s", name, code, out)
		}
	}
}

func (p *Pack) row(table string) *packRow {
	for i := range p.Batches[0].Rows {
		if r := &p.Batches[0].Rows[i]; r.Table == table {
			return r
		}
	}
	panic("no row of " + table)
}

func (p *Pack) drop(table string) {
	rows := p.Batches[0].Rows
	for i := range rows {
		if rows[i].Table == table {
			p.Batches[0].Rows = append(rows[:i:i], rows[i+1:]...)
			return
		}
	}
}

// cleanRuns lets an honest database be checked again and again: 4 runs unless BORDERWATCH_RUNS says more.
func (r *rig) cleanRuns(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("BORDERWATCH_RUNS"))
	if err != nil {
		runs = 4
	}
	for i := range runs {
		args := r.all("--workers", strconv.Itoa(1+i%4))
		if i%2 == 1 {
			args = append([]string{"sample", "--n", "30", "--seed", strconv.Itoa(i)}, args...)
		}
		if code, out := r.verify(t, args...); code != exitOK {
			t.Fatalf("run %d: exit %d\n%s", i, code, out)
		}
	}
	t.Logf("%d runs without a finding", runs)
}

// evidence of every finding is a file that names what it is about.
func (r *rig) evidence(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "findings")
	k := tampering{sql: update("alert_rows", "severity", "'low'", "{alerted}"), tables: []string{"alert_rows"}}
	defer r.restore(t, &k)
	g := r.targets()
	r.exec(t, g.fill(r, k.sql[0]))
	code, out := r.verify(t, r.all("--evidence", dir)...)
	files, err := filepath.Glob(filepath.Join(dir, "*alerts_differ.json"))
	if code != exitFinding || err != nil || len(files) != 1 {
		t.Fatalf("exit %d, %v, %v\n%s", code, files, err, out)
	}
	text, err := os.ReadFile(files[0])
	r.must(err)
	var e struct{ Proof rowEvidence }
	r.must(json.Unmarshal(text, &e))
	trust, err := openTrust(r.key(), "", 0, 0)
	r.must(err)
	head, err := trust.open([]byte(e.Proof.Checkpoint))
	r.must(err)
	leaf := e.Proof.Recorded[0]
	if err := tlog.CheckRecord(leaf.Proof, head.size, head.root, int64(leaf.Index), tlog.RecordHash([]byte(leaf.Leaf))); err != nil {
		t.Error(err)
	}
	if len(e.Proof.Stored) == 0 || len(e.Proof.Judged) == 0 {
		t.Errorf("it shows %d stored rows and %d judged ones", len(e.Proof.Stored), len(e.Proof.Judged))
	}
}

func TestTreeIsThatOfTheStandard(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for n := range 70 {
		var leaves []hash
		for range n {
			var h hash
			for i := range h {
				h[i] = byte(random.Uint32())
			}
			leaves = append(leaves, h)
		}
		var got tree
		for _, leaf := range leaves {
			got.add(leaf)
		}
		p, err := newProver(leaves)
		if err != nil {
			t.Fatal(err)
		}
		want, err := p.tree.root()
		if err != nil || got.root() != want {
			t.Errorf("%d leaves: root %v, want %v, %v", n, got.root(), want, err)
		}
	}
}

func TestWitnesses(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	secret, public, err := note.GenerateKey(crand.Reader, "log.example")
	if err != nil {
		t.Fatal(err)
	}
	log, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	key := write("log", public)
	witnessKey, private := newWitness(t, "witness.example")
	witnesses := write("witnesses", "# ours\n"+witnessKey+"\n")
	for _, c := range []struct {
		name string
		age  time.Duration // 0 where the witness has not signed
		want bool
	}{{"fresh", time.Minute, true}, {"old", time.Hour, false}, {"absent", 0, false}} {
		trust, err := openTrust(key, witnesses, 0, 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		signers := []note.Signer{log}
		if c.age > 0 {
			signers = append(signers, &witnessSigner{trust.witnesses[0].(*cosigner), private, now.Add(-c.age)})
		}
		text, err := note.Sign(&note.Note{Text: "log.example\n0\n" + emptyRoot.String() + "\n"}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		head, err := trust.open(text)
		if err != nil {
			t.Fatal(err)
		}
		report := &Report{}
		trust.witnessed(head, now, report)
		if got := len(report.Findings) == 0; got != c.want {
			t.Errorf("%s: %v, %v", c.name, report.Findings, report.Witnesses)
		}
	}
}

// witnessSigner signs as C2SP tlog-cosignature says.
type witnessSigner struct {
	*cosigner
	private ed25519.PrivateKey
	at      time.Time
}

// Sign implements note.Signer.
func (w *witnessSigner) Sign(text []byte) ([]byte, error) {
	at := binary.BigEndian.AppendUint64(nil, uint64(w.at.Unix()))
	return append(at, ed25519.Sign(w.private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", w.at.Unix(), text))...), nil
}

func TestMissBound(t *testing.T) {
	for _, c := range []struct {
		n, missed int
		want      float64
	}{{1, 0, 0.95}, {20, 0, 0.1391083}, {300, 0, 0.0099360}, {1000, 0, 0.0029912}, {100, 1, 0.0465598}, {100, 5, 0.1022534}, {10, 10, 1}, {0, 0, 1}} {
		if got := missBound(c.n, c.missed); math.Abs(got-c.want) > 2e-6 {
			t.Errorf("%d of %d: %.7f, want %.7f", c.missed, c.n, got, c.want)
		}
	}
}

func TestSequence(t *testing.T) {
	q := &sequence{through: -1, settled: -1, blocks: map[int64]*block{}}
	for _, n := range []int64{5, 7, 6, 65540, 9, 9} {
		q.add(n)
	}
	q.settled = 9
	if got := q.gaps(); len(got) != 1 || got[0] != [2]int64{8, 8} || q.Repeated != 1 || q.First != 5 || q.Highest != 65540 {
		t.Errorf("gaps %v, %+v", got, q.FeedReport)
	}
	again := newSequences([]feedState{{FeedReport: FeedReport{Topic: "t", Feed: "f"}, Through: q.through, Above: [][2]int64{{65540, 65540}}}})
	next := again.feeds[feedName{"t", "f"}]
	next.add(10)
	next.settled = 65540
	if got := next.gaps(); len(got) != 1 || got[0] != [2]int64{11, 65539} {
		t.Errorf("gaps of the next run %v", got)
	}
}

func TestUsage(t *testing.T) {
	r := &rig{t: t}
	for _, args := range [][]string{{}, {"nonsense"}, {"alert"}, {"check", "x.zip"}, {"--config", "x", "--ledger", "y"}, {"export", "--config", "x", "--ledger", "y", "--key", "z"}, {"--key"}, {"rows", "extra"}} {
		if code, out := r.verify(t, args...); code != exitUsage {
			t.Errorf("%q: exit %d\n%s", args, code, out)
		}
	}
	if code, out := r.verify(t, "--help"); code != exitOK || !strings.Contains(out, "To begin") || !strings.Contains(out, "-witness") {
		t.Errorf("help: exit %d\n%s", code, out)
	}
}

// FuzzPack reads packs that anybody may have made.
func FuzzPack(f *testing.F) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("pack.json")
	_, _ = io.WriteString(w, `{"format":"borderwatch-pack/v1","batches":[{"rows":[{"table":"raw_rows","canonical":"AAAA"}]}]}`)
	_ = z.Close()
	f.Add(b.Bytes(), []byte("bw-row/v1\x00raw_rows\x00\x01"))
	f.Fuzz(func(t *testing.T, data, canonical []byte) {
		file := filepath.Join(t.TempDir(), "pack.zip")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = readPack(file)
		l := newLayouts()
		for _, table := range append([]string{"none"}, tables...) {
			l.describe(table, append([]byte("bw-row/v1\x00"+table+"\x00"), canonical...))
			l.describe(table, canonical)
		}
	})
}
