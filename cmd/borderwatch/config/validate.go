package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"borderwatch/consumers/decode"
)

// Needs is a set of sections that a command cannot do without.
type Needs uint8

// The sections a command may need.
const (
	NeedKafka Needs = 1 << iota
	NeedTopics
	NeedClickHouse
	NeedBundle // a folder to read
	NeedRules  // a bundle to judge by
	NeedLedger
	NeedServe // a log of one's own and somebody who may append to it
	NeedConsole
)

// Adapters are the record formats that a feed may name.
var Adapters = decode.Adapters()

// maxRows keeps an insert a single block, with room for the alerts of its last event.
const maxRows = 450_000

// maxInFlight bounds what a takeover may have to make again.
const maxInFlight = 4

// checker validates one loaded configuration.
type checker struct {
	*Loaded
	problems *Problems
}

func (l *Loaded) validate(needs Needs, problems *Problems) {
	c := checker{l, problems}
	c.required(needs)
	c.kafka()
	c.feeds()
	c.clickHouse()
	c.ledger()
	c.serve()
	c.batch()
	c.rest()
	c.console(needs)
	for _, s := range l.secrets() {
		if *s.value != "" && *s.file != "" {
			c.bad(s.path+"_file", "%s is given too; give one of them", s.path)
		}
	}
}

// bad reports a value at the place where it was set.
func (c *checker) bad(path, format string, args ...any) {
	c.problems.add(c.places[path], "%s: %s", path, fmt.Sprintf(format, args...))
}

func (c *checker) required(needs Needs) {
	if needs&NeedKafka != 0 && len(c.Kafka.Brokers) == 0 {
		c.bad("kafka.brokers", "required, the host:port of at least one broker")
	}
	if needs&NeedTopics != 0 && len(c.AllTopics()) == 0 {
		c.bad("kafka.topics", "required, unless feeds names a topic")
	}
	if needs&NeedClickHouse != 0 && len(c.ClickHouse.Hosts) == 0 {
		c.bad("clickhouse.hosts", "required, the host:port of at least one server")
	}
	if needs&NeedBundle != 0 && c.Bundle.Dir == "" {
		c.bad("bundle.dir", "required, the folder with rules and reference files")
	}
	if needs&NeedRules != 0 {
		c.rules()
	}
	if needs&NeedServe != 0 {
		c.requiredServe()
	}
	if needs&NeedLedger != 0 && c.Ledger.Dir == "" && c.Ledger.URL == "" {
		c.bad("ledger.url", "required, or ledger.dir for a single worker")
	}
}

// minSessionTimeout is three heartbeats of a worker. Brokers take 6 s and more (group.min.session.timeout.ms).
const minSessionTimeout = 9 * time.Second

func (c *checker) kafka() {
	k := &c.Kafka
	c.addresses("kafka.brokers", k.Brokers)
	c.tls("kafka.tls", k.TLS)
	c.notEmpty("kafka.group", k.Group)
	c.atLeast("kafka.epoch", k.Epoch, 1)
	c.oneOf("kafka.sasl.mechanism", k.SASL.Mechanism, "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	loggedIn := k.SASL.Username != "" || k.SASL.Password != "" || k.SASL.PasswordFile != ""
	switch {
	case k.SASL.Mechanism != "" && k.SASL.Username == "":
		c.bad("kafka.sasl.username", "required with kafka.sasl.mechanism")
	case k.SASL.Mechanism == "" && loggedIn:
		c.bad("kafka.sasl.mechanism", "required with credentials: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	}
	between(c, "kafka.fetch.max_bytes", k.Fetch.MaxBytes, 1<<10, 1<<30)
	between(c, "kafka.fetch.max_batch", k.Fetch.MaxBatch, 1<<10, 1<<30)
	c.atLeast("kafka.fetch.read_ahead", k.Fetch.ReadAhead, 1)
	if k.SessionTimeout < minSessionTimeout {
		c.bad("kafka.session_timeout", "%s is too short for three signs of life, one every 3s: at least %s",
			formatDuration(k.SessionTimeout), formatDuration(minSessionTimeout))
	}
	if least := c.ClickHouse.InsertTimeout + 10*time.Second; k.RebalanceTimeout < least {
		c.bad("kafka.rebalance_timeout", "%s is too short, a running insert needs clickhouse.insert_timeout and 10s: at least %s",
			formatDuration(k.RebalanceTimeout), formatDuration(least))
	}
}

func (c *checker) feeds() {
	names := make(map[string]bool)
	taken := make(map[string]string)
	for i, f := range c.Feeds {
		path := fmt.Sprintf("feeds[%d]", i)
		if f.Name == "" {
			c.bad(path, "name is required")
		}
		if f.Topic == "" {
			c.bad(path, "topic is required")
		}
		if f.SilentAfter != 0 && f.SilentAfter < 10*time.Second {
			c.bad(path, "silent_after: %s is too short, at least 10s, or 0 for never", formatDuration(f.SilentAfter))
		}
		if names[f.Name] && f.Name != "" {
			c.bad(path+".name", "%q is the name of another feed too", f.Name)
		}
		names[f.Name] = true
		c.oneOf(path+".adapter", f.Adapter, append([]string{""}, Adapters...)...)
		if (f.Header.Key == "") != (f.Header.Value == "") {
			c.bad(path, "header needs both key and value")
		}
		which := f.Topic + "\x00" + f.Header.Key + "\x00" + f.Header.Value
		if other, ok := taken[which]; ok && f.Topic != "" {
			c.bad(path, "reads the same records of topic %q as %s; tell them apart by header", f.Topic, other)
			continue
		}
		taken[which] = path
	}
}

// identifier is what needs no quoting in SQL.
var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (c *checker) clickHouse() {
	ch := &c.ClickHouse
	c.addresses("clickhouse.hosts", ch.Hosts)
	c.tls("clickhouse.tls", ch.TLS)
	c.oneOf("clickhouse.compression", ch.Compression, "none", "lz4")
	if len(ch.Hosts) > 1 && ch.Cluster == "" {
		c.bad("clickhouse.hosts", "several hosts need clickhouse.cluster: without replicated tables, a retry at another host would store rows twice")
	}
	if !identifier.MatchString(ch.Database) {
		c.bad("clickhouse.database", "%q is not a name of letters, digits and underscores", ch.Database)
	}
	if ch.Cluster != "" && !identifier.MatchString(ch.Cluster) {
		c.bad("clickhouse.cluster", "%q is not a name of letters, digits and underscores", ch.Cluster)
	}
	if ch.InsertTimeout < time.Second {
		c.bad("clickhouse.insert_timeout", "%s is too short, at least 1s", formatDuration(ch.InsertTimeout))
	}
}

func (c *checker) ledger() {
	l := &c.Ledger
	c.tls("ledger.tls", l.TLS)
	if l.Dir != "" && l.URL != "" {
		c.bad("ledger.url", "ledger.dir is given too; give one of them")
	}
	if l.URL == "" {
		return
	}
	u, err := url.Parse(l.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		c.bad("ledger.url", "%q is not the address of a server, such as https://ledger.example:9380", l.URL)
	}
}

// rules refuses a worker that nobody told who must have signed what it judges by.
func (c *checker) rules() {
	b := &c.Bundle
	switch {
	case b.Policy == "" && !b.Unsigned:
		c.bad("bundle.policy", "required, the file that says whose signatures a bundle needs; bundle.unsigned: true judges by the folder bundle.dir as it is")
	case b.Policy != "" && b.Unsigned:
		c.bad("bundle.unsigned", "bundle.policy is given too; give one of them")
	case b.Unsigned && (b.File != "" || b.Topic != "" || b.DevelopmentKey != ""):
		c.bad("bundle.unsigned", "an unsigned bundle is the folder bundle.dir: leave out file, topic and development_key")
	case (b.Unsigned || b.DevelopmentKey != "") && b.Dir == "":
		c.bad("bundle.dir", "required, the folder with rules and reference files")
	case b.DevelopmentKey != "" && (b.File != "" || b.Topic != ""):
		c.bad("bundle.development_key", "signs the folder bundle.dir: leave out file and topic")
	case b.Policy != "" && b.DevelopmentKey == "" && b.File == "" && b.Topic == "":
		c.bad("bundle.topic", "required with bundle.policy, or bundle.file: what lies in the folder bundle.dir is unsigned")
	case b.File != "" && b.Topic != "":
		c.bad("bundle.file", "bundle.topic is given too; give one of them")
	}
}

// requiredServe refuses a ledger that would take appends from nobody, or from everybody.
func (c *checker) requiredServe() {
	l := &c.Ledger
	if l.Dir == "" {
		c.bad("ledger.dir", "required, the folder that keeps the log")
	}
	if l.Serve.Listen == "" {
		c.bad("ledger.serve.listen", "required, the host:port to serve at")
	}
	if l.Serve.Tokens == "" && l.Serve.TokensFile == "" && l.Serve.TLS.ClientCAFile == "" {
		c.bad("ledger.serve.tokens_file", "required, or ledger.serve.tls.client_ca_file: somebody must be able to append, and not everybody")
	}
}

// minToken is what consumers/ledger asks of a token.
const minToken = 16

func (c *checker) serve() {
	s := &c.Ledger.Serve
	if s.Listen != "" {
		c.addresses("ledger.serve.listen", []string{s.Listen})
	}
	from := "ledger.serve.tokens" + choose(s.TokensFile != "", "_file")
	for i, token := range s.List() {
		if len(token) < minToken {
			c.bad(from, "token %d has %d bytes, at least %d are needed", i+1, len(token), minToken)
		}
	}
	if (s.TLS.CertFile == "") != (s.TLS.KeyFile == "") {
		given := "ledger.serve.tls" + cmp.Or(choose(s.TLS.CertFile != "", ".cert_file"), ".key_file")
		c.bad(given, "cert_file and key_file go together, one of them is missing")
	}
	if s.TLS.ClientCAFile != "" && s.TLS.CertFile == "" {
		c.bad("ledger.serve.tls.client_ca_file", "needs cert_file and key_file: without TLS there are no client certificates")
	}
	c.witnesses()
	c.holds()
}

func (c *checker) holds() {
	names := map[string]bool{}
	for i, h := range c.Erase.Holds {
		path := fmt.Sprintf("erase.holds[%d]", i)
		if h.Name == "" || strings.ContainsAny(h.Name, " :") || names[h.Name] {
			c.bad(path+".name", "%q is not a name of its own without spaces and colons", h.Name)
		}
		names[h.Name] = true
		if h.Reason == "" {
			c.bad(path+".reason", "required, it is shown to whoever wants to erase")
		}
		if h.Until == "" {
			continue
		}
		if _, err := time.Parse(time.DateOnly, h.Until); err != nil {
			c.bad(path+".until", "%q is not a day such as 2031-12-31", h.Until)
		}
	}
}

func (c *checker) witnesses() {
	s := &c.Ledger.Serve
	between(c, "ledger.serve.quorum", s.Quorum, 0, len(s.Witnesses))
	urls := map[string]bool{}
	for i, w := range s.Witnesses {
		path := fmt.Sprintf("ledger.serve.witnesses[%d]", i)
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			c.bad(path+".url", "%q is not the address of a server, such as https://witness.example", w.URL)
		}
		if urls[w.URL] {
			c.bad(path+".url", "%q is given twice", w.URL)
		}
		urls[w.URL] = true
		if strings.Count(w.Key, "+") < 2 {
			c.bad(path+".key", "%q is not the public key of a witness, name+hash+key", w.Key)
		}
	}
	if d := s.Heartbeat; d != 0 && d < time.Second {
		c.bad("ledger.serve.heartbeat", "%s is too short, at least 1s, or 0 for none", formatDuration(d))
	}
}

func (c *checker) batch() {
	b := &c.Batch
	between(c, "batch.max_rows", b.MaxRows, 1, maxRows)
	between(c, "batch.max_bytes", b.MaxBytes, 1<<10, 4<<30)
	if b.Memory < b.MaxBytes {
		c.bad("batch.memory", "%v is less than batch.max_bytes, %v: no batch would fit", b.Memory, b.MaxBytes)
	}
	between(c, "batch.in_flight", b.InFlight, 1, maxInFlight)
	if b.Linger > time.Minute {
		c.bad("batch.linger", "%s is too long, at most 1m", formatDuration(b.Linger))
	}
}

func (c *checker) rest() {
	if c.HTTP.Listen != "" {
		c.addresses("http.listen", []string{c.HTTP.Listen})
	}
	c.oneOf("log.format", c.Log.Format, "text", "json")
	c.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	between(c, "limits.message_bytes", c.Limits.MessageBytes, 1<<10, 1<<30)
	between(c, "limits.depth", c.Limits.Depth, 2, 1000)
	c.atLeast("limits.dead_letters_in_row", c.Limits.DeadLettersInRow, 1)
	if d := c.Bundle.Reload; d != 0 && d < time.Second {
		c.bad("bundle.reload", "%s is too short, at least 1s, or 0 for never", formatDuration(d))
	}
	if d := c.Notices.Every; d != 0 && d < time.Second {
		c.bad("notices.every", "%s is too short, at least 1s, or 0 for never", formatDuration(d))
	}
	if d := c.Notices.Lookback; d < 10*time.Minute || d > 31*24*time.Hour {
		c.bad("notices.lookback", "%s is not between 10m and 744h", formatDuration(d))
	}
}

func (c *checker) addresses(path string, list []string) {
	for _, address := range list {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			c.bad(path, "%q is not host:port", address)
		}
	}
}

func (c *checker) tls(path string, t TLS) {
	if !t.Enabled && (t.CAFile != "" || t.CertFile != "" || t.KeyFile != "" || t.ServerName != "") {
		c.bad(path+".enabled", "files or a server name are given, but TLS is off")
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		given := path + cmp.Or(choose(t.CertFile != "", ".cert_file"), ".key_file")
		c.bad(given, "cert_file and key_file go together, one of them is missing")
	}
}

func (c *checker) oneOf(path, value string, words ...string) {
	if slices.Contains(words, value) {
		return
	}
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	hint := ""
	if like := nearest(value, words); like != "" {
		hint = fmt.Sprintf(", did you mean %q?", like)
	}
	c.bad(path, "%q is not one of %s%s", value, strings.Join(words, ", "), hint)
}

func (c *checker) notEmpty(path, value string) {
	if value == "" {
		c.bad(path, "must not be empty")
	}
}

func (c *checker) atLeast(path string, value, least int) {
	if value < least {
		c.bad(path, "%d is too small, at least %d", value, least)
	}
}

func between[T int | Bytes](c *checker, path string, value, least, most T) {
	if value < least || value > most {
		c.bad(path, "%v is not between %v and %v", value, least, most)
	}
}

func choose(ok bool, s string) string {
	if ok {
		return s
	}
	return ""
}
