package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"borderwatch/cmd/borderwatch/config"
)

const usable = `kafka:
  brokers: [kafka-1:9093, kafka-2:9093]
  topics: [access-events]
clickhouse:
  hosts: clickhouse-1:9000
bundle:
  dir: /etc/borderwatch/bundle
  unsigned: true
ledger:
  dir: /var/lib/borderwatch/ledger
`

const needAll = config.NeedKafka | config.NeedTopics | config.NeedClickHouse | config.NeedRules | config.NeedLedger

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// shorten removes the folder from the places in an error, so that a test can state it whole.
func shorten(err error, file string) string {
	return strings.ReplaceAll(err.Error(), filepath.Dir(file)+string(filepath.Separator), "")
}

func TestDefaultsAreUsed(t *testing.T) {
	l, err := config.Load(config.Options{File: write(t, usable), Needs: needAll})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Kafka.Brokers = []string{"kafka-1:9093", "kafka-2:9093"}
	want.Kafka.Topics = []string{"access-events"}
	want.ClickHouse.Hosts = []string{"clickhouse-1:9000"}
	want.Bundle.Dir, want.Bundle.Unsigned, want.Ledger.Dir = "/etc/borderwatch/bundle", true, "/var/lib/borderwatch/ledger"
	want.Feeds, want.Ledger.Serve.Witnesses, want.Erase = l.Feeds, l.Ledger.Serve.Witnesses, l.Erase // nil or empty, both are none
	if len(l.Feeds)+len(l.Ledger.Serve.Witnesses)+len(l.Erase.Holds) != 0 || !reflect.DeepEqual(l.Config, want) {
		t.Errorf("got %+v\nwant %+v", l.Config, want)
	}
}

func TestLaterLayersWin(t *testing.T) {
	file := write(t, usable+"log: {level: warn, format: json}\nbatch: {linger: 2s, max_rows: 1000, max_bytes: 1MiB}\n")
	l, err := config.Load(config.Options{
		File:    file,
		Environ: []string{"BORDERWATCH_LOG_LEVEL=error", "BORDERWATCH_BATCH_LINGER=3s", "BORDERWATCH_KAFKA_BROKERS=a:1, b:2", "HOME=/root"},
		Set:     []string{"log.level=debug", "feeds=[{name: trail, topic: trails, adapter: cloudtrail}]"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ got, want any }{
		{l.Log.Level, "debug"}, {l.Place("log.level"), "--set log.level"},
		{l.Batch.Linger, 3 * time.Second}, {l.Place("batch.linger"), "BORDERWATCH_BATCH_LINGER"},
		{l.Log.Format, "json"}, {l.Place("log.format"), file + ":11:28"},
		{l.Batch.MaxRows, 1000}, {l.Batch.MaxBytes, config.Bytes(1 << 20)},
		{l.Place("batch.memory"), "default"}, {l.Batch.Memory, config.Bytes(384 << 20)},
		{strings.Join(l.Kafka.Brokers, " "), "a:1 b:2"},
		{fmt.Sprint(l.AllTopics()), "[trails access-events]"},
		{l.Sources()[0].IdentityScope, "trail"}, {l.Sources()[1].Adapter, "native"},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		name, file string
		environ    []string
		set        []string
		want       string
	}{
		{name: "unknown section", file: "kafak:\n  brokers: [a:1]\n", want: `config.yaml:1:1: unknown key "kafak", did you mean "kafka"?`},
		{name: "unknown key", file: "kafka:\n  brokres: [a:1]\n", want: `config.yaml:2:3: unknown key "kafka.brokres", did you mean "kafka.brokers"?`},
		{name: "cut short", file: "clickhouse: {user: x}\n", want: `config.yaml:1:14: unknown key "clickhouse.user", did you mean "clickhouse.username"?`},
		{name: "key in the wrong section", file: "kafka: {password: x}\n", want: `config.yaml:1:9: unknown key "kafka.password", did you mean "kafka.sasl.password"?`},
		{name: "nothing near", file: "zzzzzzzzzz: 1\n", want: `config.yaml:1:1: unknown key "zzzzzzzzzz"`},
		{name: "unknown key of a feed", file: "feeds:\n  - {name: a, topic: t, adaptor: native}\n",
			want: `config.yaml:2:25: unknown key "feeds[0].adaptor", did you mean "feeds[].adapter"?`},
		{name: "given twice", file: "log:\n  level: info\n  level: warn\n", want: "config.yaml:3:3: log.level is given twice, first in line 2"},
		{name: "two documents", file: "log: {level: info}\n---\nlog: {level: warn}\n", want: "config.yaml:2:1: more than one YAML document"},
		{name: "not YAML", file: "log: [\n", want: "config.yaml: line 1: did not find expected node content"},
		{name: "section wanted", file: "kafka: here\n", want: `config.yaml:1:8: kafka must be a section of keys, not the value "here"`},
		{name: "list wanted", file: "feeds: {name: x}\n", want: "config.yaml:1:8: feeds must be a list, not a section"},
		{name: "value wanted", file: "log: {level: [info]}\n", want: "config.yaml:1:14: log.level must be one value, not a list"},
		{name: "wrong types", file: "batch:\n  max_rows: many\n  max_bytes: 5XB\n  linger: soon\nkafka: {tls: {enabled: yes}}\n",
			want: `config.yaml:2:13: batch.max_rows: "many" is not a whole number` + "\n" +
				`config.yaml:3:14: batch.max_bytes: "5XB" is not a size; write a whole number and a unit, such as 64MiB` + "\n" +
				`config.yaml:4:11: batch.linger: "soon" is not a duration; write a number and a unit, such as 500ms, 10s, 2m` + "\n" +
				`config.yaml:5:24: kafka.tls.enabled: "yes" is neither true nor false`},
		{name: "silent for two heartbeats", file: "kafka:\n  session_timeout: 6s\n",
			want: `config.yaml:2:20: kafka.session_timeout: 6s is too short for three signs of life, one every 3s: at least 9s`},
		{name: "unknown variable", environ: []string{"BORDERWATCH_KAFKA_BROKER=a:1"},
			want: `BORDERWATCH_KAFKA_BROKER: unknown variable "BORDERWATCH_KAFKA_BROKER", did you mean "BORDERWATCH_KAFKA_BROKERS"?`},
		{name: "wrong type in a variable", environ: []string{"BORDERWATCH_BATCH_MAX_ROWS=x"},
			want: `BORDERWATCH_BATCH_MAX_ROWS: batch.max_rows: "x" is not a whole number`},
		{name: "feeds in a variable", environ: []string{"BORDERWATCH_FEEDS=[{nam: x}]"},
			want: `BORDERWATCH_FEEDS: unknown key "feeds[0].nam", did you mean "feeds[].name"?` + "\n" +
				"BORDERWATCH_FEEDS: feeds[0]: name is required\nBORDERWATCH_FEEDS: feeds[0]: topic is required"},
		{name: "flag without value", set: []string{"log.level"}, want: "--set log.level: write --set key=value"},
		{name: "unknown flag key", set: []string{"log.levle=info"}, want: `--set log.levle: unknown key "log.levle", did you mean "log.level"?`},
		{name: "word", file: "log: {level: wran}\n", want: `config.yaml:1:14: log.level: "wran" is not one of debug, info, warn, error, did you mean "warn"?`},
		{name: "adapter", file: "feeds: [{name: a, topic: t, adapter: cloudtrial}]\n",
			want: `config.yaml:1:38: feeds[0].adapter: "cloudtrial" is not one of native, ocsf, cloudtrail, gcp-audit, gcp-access-transparency, did you mean "cloudtrail"?`},
		{name: "feeds that cannot be told apart", file: "feeds:\n  - {name: a, topic: t}\n  - {name: a, topic: t}\n",
			want: "config.yaml:3:12: feeds[1].name: \"a\" is the name of another feed too\n" +
				`config.yaml:3:5: feeds[1]: reads the same records of topic "t" as feeds[0]; tell them apart by header`},
		{name: "broker address", file: "kafka: {brokers: [kafka-1]}\n", want: `config.yaml:1:18: kafka.brokers: "kafka-1" is not host:port`},
		{name: "login", file: "kafka: {sasl: {mechanism: PLAIN}}\n", want: "kafka.sasl.username: required with kafka.sasl.mechanism"},
		{name: "mechanism", file: "kafka: {sasl: {username: me}}\n", want: "kafka.sasl.mechanism: required with credentials: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
		{name: "TLS off", file: "clickhouse: {tls: {ca_file: ca.pem}}\n", want: "clickhouse.tls.enabled: files or a server name are given, but TLS is off"},
		{name: "half a key pair", file: "kafka: {tls: {enabled: true, key_file: k.pem}}\n",
			want: "config.yaml:1:40: kafka.tls.key_file: cert_file and key_file go together, one of them is missing"},
		{name: "secret twice", file: "clickhouse: {password: a, password_file: b}\n",
			want: "config.yaml:1:42: clickhouse.password_file: clickhouse.password is given too; give one of them"},
		{name: "two ledgers", file: "ledger: {dir: a, url: \"http://b\"}\n", want: "config.yaml:1:23: ledger.url: ledger.dir is given too; give one of them"},
		{name: "short token", file: "ledger: {serve: {tokens: \"0123456789abcdef short\"}}\n",
			want: "config.yaml:1:26: ledger.serve.tokens: token 2 has 5 bytes, at least 16 are needed"},
		{name: "client authority without TLS", file: "ledger: {serve: {tls: {client_ca_file: ca.pem}}}\n",
			want: "config.yaml:1:40: ledger.serve.tls.client_ca_file: needs cert_file and key_file: without TLS there are no client certificates"},
		{name: "half a server key pair", file: "ledger: {serve: {tls: {cert_file: a.pem}}}\n",
			want: "config.yaml:1:35: ledger.serve.tls.cert_file: cert_file and key_file go together, one of them is missing"},
		{name: "block too large", file: "batch: {max_rows: 524288}\n", want: "config.yaml:1:19: batch.max_rows: 524288 is not between 1 and 450000"},
		{name: "no room for a batch", file: "batch: {memory: 1MiB}\n", want: "config.yaml:1:17: batch.memory: 1MiB is less than batch.max_bytes, 96MiB: no batch would fit"},
		{name: "rebalance shorter than insert", file: "kafka: {rebalance_timeout: 30s}\n",
			want: "config.yaml:1:28: kafka.rebalance_timeout: 30s is too short, a running insert needs clickhouse.insert_timeout and 10s: at least 1m10s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, c.file)
			_, err := config.Load(config.Options{File: file, Environ: c.environ, Set: c.set})
			var problems config.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want problems", err)
			}
			if got := shorten(err, file); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestNeedsAreRequired(t *testing.T) {
	_, err := config.Load(config.Options{Set: []string{"clickhouse.hosts="}, Needs: needAll})
	want := `kafka.brokers: required, the host:port of at least one broker
kafka.topics: required, unless feeds names a topic
--set clickhouse.hosts: clickhouse.hosts: required, the host:port of at least one server
bundle.policy: required, the file that says whose signatures a bundle needs; bundle.unsigned: true judges by the folder bundle.dir as it is
ledger.url: required, or ledger.dir for a single worker`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, err := config.Load(config.Options{}); err != nil {
		t.Errorf("nothing needed: %v", err)
	}
}

func TestPrintedConfigurationIsReadAgain(t *testing.T) {
	file := write(t, usable+"feeds:\n  - name: trail\n    topic: trails\n    adapter: cloudtrail\n    header: {key: feed, value: \"yes\"}\n")
	first, err := config.Load(config.Options{File: file, Environ: []string{"BORDERWATCH_CLICKHOUSE_PASSWORD=hunter2"}})
	if err != nil {
		t.Fatal(err)
	}
	printed, err := first.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(printed), "hunter2") || !strings.Contains(string(printed), `password: '***' # BORDERWATCH_CLICKHOUSE_PASSWORD`) &&
		!strings.Contains(string(printed), `password: "***" # BORDERWATCH_CLICKHOUSE_PASSWORD`) {
		t.Errorf("the password is not masked:\n%s", printed)
	}
	second, err := config.Load(config.Options{File: write(t, string(printed))})
	if err != nil {
		t.Fatalf("%v in\n%s", err, printed)
	}
	second.ClickHouse.Password = first.ClickHouse.Password
	if !reflect.DeepEqual(first.Config, second.Config) {
		t.Errorf("got %+v\nwant %+v", second.Config, first.Config)
	}
}

func TestSecretsNeverShow(t *testing.T) {
	s := config.Secret("hunter2")
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %s %q %#v", s, s, s, s), fmt.Sprintf("%+v", struct{ P config.Secret }{s}), s.LogValue().String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows the secret", text)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("Reveal does not")
	}
}

func TestReadSecrets(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"good": "hunter2\n", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(file string) (*config.Loaded, error) {
		l, err := config.Load(config.Options{Set: []string{"clickhouse.password_file=" + filepath.Join(dir, file)}})
		if err != nil {
			t.Fatal(err)
		}
		return l, l.ReadSecrets()
	}
	if l, err := load("good"); err != nil || l.ClickHouse.Password.Reveal() != "hunter2" {
		t.Errorf("got %q, %v", l.ClickHouse.Password.Reveal(), err)
	}
	for _, file := range []string{"empty", "absent"} {
		_, err := load(file)
		if err == nil || !strings.HasPrefix(err.Error(), "--set clickhouse.password_file: clickhouse.password_file: ") {
			t.Errorf("%s: got %v", file, err)
		}
	}
}

// TestRecheck finds what only the content of a secret's file shows.
func TestRecheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	for text, want := range map[string]string{
		"0123456789abcdef\nfedcba9876543210\n": "",
		"0123456789abcdef\nshort\n":            "--set ledger.serve.tokens_file: ledger.serve.tokens_file: token 2 has 5 bytes, at least 16 are needed",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Options{Set: []string{"ledger.dir=x", "ledger.serve.tokens_file=" + file}, Needs: config.NeedServe})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.ReadSecrets(); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := l.Recheck(config.NeedServe); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]config.Bytes{"0": 0, "17": 17, "64MiB": 64 << 20, "64 MiB": 64 << 20, "1kB": 1000, "2GB": 2e9, "5B": 5} {
		got, err := config.ParseBytes(text)
		if err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
		if again, err := config.ParseBytes(got.String()); err != nil || again != got {
			t.Errorf("%s is written %s", text, got)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "MiB", "9999999999999GiB", "1TiB"} {
		if got, err := config.ParseBytes(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add(usable)
	f.Add("feeds: [{name: a}]\nlog: *x\n")
	f.Add("a: &a [*a]\nfeeds: &f\n  - {header: *f}\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := config.Load(config.Options{File: write(t, text)})
		if err != nil {
			return
		}
		if _, err := l.YAML(); err != nil {
			t.Error(err)
		}
	})
}
