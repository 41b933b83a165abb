// Package config is the configuration of the borderwatch commands: what can be set, the defaults, and where a value
// came from.
//
// Values come from, in rising order: the defaults, a YAML file, environment variables, and --set flags. The variable
// of a key is BORDERWATCH_ and the key in capitals with dots as underscores: kafka.tls.ca_file is
// BORDERWATCH_KAFKA_TLS_CA_FILE. Lists are comma-separated there; feeds are written as YAML in brackets.
//
// Durations are written 500ms, 10s, 2m, 1h30m; sizes in bytes 4096, 64KiB, 64MiB, 1GiB (or 64MB for 64,000,000).
package config

import (
	"strings"
	"time"
)

// Config is all that can be set. Every command reads the same file and needs only some of its sections.
type Config struct {
	Kafka      Kafka      `koanf:"kafka"`
	Feeds      []Feed     `koanf:"feeds"`
	ClickHouse ClickHouse `koanf:"clickhouse"`
	Bundle     Bundle     `koanf:"bundle"`
	Ledger     Ledger     `koanf:"ledger"`
	Erase      Erase      `koanf:"erase"`
	Batch      Batch      `koanf:"batch"`
	HTTP       HTTP       `koanf:"http"`
	Log        Log        `koanf:"log"`
	Limits     Limits     `koanf:"limits"`
	Notices    Notices    `koanf:"notices"`
	Console    Console    `koanf:"console"`
}

// Kafka is the cluster that events are read from.
type Kafka struct {
	// Brokers are the addresses, host:port, of any brokers of the cluster. Required.
	Brokers []string `koanf:"brokers"`
	// Topics are read with the native adapter, one feed of the topic's name each. Topics with a feed of their own under
	// feeds need not be repeated here.
	Topics []string `koanf:"topics"`
	// Group is the consumer group that the workers share.
	Group string `koanf:"group"`
	// ClientID names this worker in the broker's logs and quotas.
	ClientID string `koanf:"client_id"`
	// Epoch is part of the evidence's name for the cluster. Raise it by one after a topic was deleted and made again
	// under its old name, since its offsets then start over.
	Epoch int  `koanf:"epoch"`
	TLS   TLS  `koanf:"tls"`
	SASL  SASL `koanf:"sasl"`
	// DeadLetterTopic also receives every refused record. Empty: dead letters are in ClickHouse only.
	DeadLetterTopic string `koanf:"dead_letter_topic"`
	Fetch           Fetch  `koanf:"fetch"`
	// SessionTimeout is how long a silent worker keeps its partitions.
	SessionTimeout time.Duration `koanf:"session_timeout"`
	// RebalanceTimeout is how long a worker may finish its insert when partitions move: at least
	// clickhouse.insert_timeout and 10 s.
	RebalanceTimeout time.Duration `koanf:"rebalance_timeout"`
}

// TLS secures a connection. The zero value is plain text.
type TLS struct {
	Enabled bool `koanf:"enabled"`
	// CAFile holds the PEM certificates to trust. Empty: those of the system.
	CAFile string `koanf:"ca_file"`
	// CertFile and KeyFile are the client's PEM certificate and key, for mutual TLS.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
	// ServerName is the name the server's certificate must carry. Empty: the host that was dialled.
	ServerName string `koanf:"server_name"`
}

// SASL logs in to the brokers. The zero value does not.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Use PLAIN over TLS only.
	Mechanism string `koanf:"mechanism"`
	Username  string `koanf:"username"`
	// Password, or better the file that holds it.
	Password     Secret `koanf:"password"`
	PasswordFile string `koanf:"password_file"`
}

// Fetch bounds what is read from a broker at once.
type Fetch struct {
	// MaxBytes is the most the broker returns for one request and partition.
	MaxBytes Bytes `koanf:"max_bytes"`
	// MaxBatch is the largest record batch accepted, on the wire and decompressed. A larger one parks its partition.
	MaxBatch Bytes `koanf:"max_batch"`
	// MaxWait is how long the broker may wait for new records.
	MaxWait time.Duration `koanf:"max_wait"`
	// ReadAhead is how many fetches of a partition wait to be worked on.
	ReadAhead int `koanf:"read_ahead"`
}

// Feed is one source of events: how its records are read and what they are called.
type Feed struct {
	// Name is the feed's name in metrics, coverage and, where its records carry none, in source.feed. Required.
	Name string `koanf:"name"`
	// Adapter is the format of the records: native, ocsf, cloudtrail, gcp-audit or gcp-access-transparency.
	// Empty: native.
	Adapter string `koanf:"adapter"`
	// IdentityScope is shared by feeds that deliver copies of the same records, so that a copy raises no second alert.
	// Empty: the feed's name.
	IdentityScope string `koanf:"identity_scope"`
	// Topic carries the feed. Required.
	Topic string `koanf:"topic"`
	// Header tells the feeds of one topic apart. The one feed of a topic without it takes the other records.
	Header Header `koanf:"header"`
	// SilentAfter is how long nothing may come before a notice says that the feed is silent, at least 10s. 0: any time.
	SilentAfter time.Duration `koanf:"silent_after"`
}

// Header is a record header and the value it must have.
type Header struct {
	Key   string `koanf:"key"`
	Value string `koanf:"value"`
}

// ClickHouse is where events, verdicts and alerts are stored.
type ClickHouse struct {
	// Hosts are the addresses, host:port, of the native protocol (9000, or 9440 with TLS). A worker stays with the
	// first that answers until it fails. Several need Cluster.
	Hosts    []string `koanf:"hosts"`
	Database string   `koanf:"database"`
	Username string   `koanf:"username"`
	// Password, or better the file that holds it.
	Password     Secret `koanf:"password"`
	PasswordFile string `koanf:"password_file"`
	TLS          TLS    `koanf:"tls"`
	// Compression of inserts: none or lz4. It costs the worker more than it saves, except on a slow link.
	Compression string `koanf:"compression"`
	// Cluster is the name of the server's cluster. With it, tables are replicated and migrations run ON CLUSTER.
	// Empty: a single server.
	Cluster string `koanf:"cluster"`
	// InsertTimeout bounds one insert. After it the outcome is unknown and the same insert is tried again.
	InsertTimeout time.Duration `koanf:"insert_timeout"`
}

// Bundle is what decides: the rules, groups, exceptions and reference files. Workers judge by a signed one, which comes
// as a file or through a topic; a folder is unsigned.
type Bundle struct {
	// Policy is the activation policy: whose signatures a bundle needs. Required, unless Unsigned.
	Policy string `koanf:"policy"`
	// Topic is the compacted topic on which borderwatch rules activate announces what is to go live.
	Topic string `koanf:"topic"`
	// File is an archive of borderwatch rules build, its signed statement beside it. Instead of Topic.
	File string `koanf:"file"`
	// Unsigned judges by the files in Dir, whoever wrote them. Log, metric and /readyz say so.
	Unsigned bool `koanf:"unsigned"`
	// Dir holds YAML files and address lists. With Policy, only coverage reads it.
	Dir string `koanf:"dir"`
	// DevelopmentKey signs what lies in Dir, for a policy with development: true.
	DevelopmentKey string `koanf:"development_key"`
	// GeoIP is a country database in MaxMind DB format. Empty: addresses have no country.
	GeoIP string `koanf:"geoip"`
	// GeoIPSecond is a database of another maker. Where the two differ, both countries stay open.
	GeoIPSecond string `koanf:"geoip_second"`
	// Reload is how often the files or the topic are looked at for changes. 0: never, only at the start.
	Reload time.Duration `koanf:"reload"`
}

// Ledger is the evidence log. One of dir and url is required.
type Ledger struct {
	// Dir keeps the log in this process: for a single worker on one machine.
	Dir string `koanf:"dir"`
	// URL is the address of a borderwatch ledger that all workers share.
	URL string `koanf:"url"`
	// Token, or better the file that holds it, proves the worker's right to append.
	Token     Secret `koanf:"token"`
	TokenFile string `koanf:"token_file"`
	TLS       TLS    `koanf:"tls"`
	// Serve is how borderwatch ledger offers the log in dir; workers have no use for it.
	Serve Serve `koanf:"serve"`
}

// Serve is the other side of Ledger.URL.
type Serve struct {
	// Listen is host:port. Workers append there, and the partner reads checkpoints and tiles.
	Listen string `koanf:"listen"`
	// Origin is the name of the log in its checkpoints, such as ledger.example.com/2026. The first start fixes it.
	// Empty: a random one is made.
	Origin string `koanf:"origin"`
	// Tokens, or better the file that holds them, are what workers prove their right to append with. Several are
	// separated by line ends, so that one can be replaced without a pause. Each has at least 16 bytes.
	Tokens     Secret    `koanf:"tokens"`
	TokensFile string    `koanf:"tokens_file"`
	TLS        ServerTLS `koanf:"tls"`
	// Witnesses cosign every checkpoint before it is published, wherever the log in dir is kept; the partner's comes first.
	// Appends do not wait for them.
	Witnesses []Witness `koanf:"witnesses"`
	// Quorum is how many of the witnesses have to cosign. 0: all.
	Quorum int `koanf:"quorum"`
	// Heartbeat is how long the log may be silent before it gets a leaf that says so. 0: for ever.
	Heartbeat time.Duration `koanf:"heartbeat"`
}

// Witness is one that cosigns checkpoints: borderwatch-verify witness, or any other that speaks C2SP tlog-witness.
type Witness struct {
	// URL is the address under which it has /add-checkpoint.
	URL string `koanf:"url"`
	// Key is its public key, as it prints it. It is no secret.
	Key string `koanf:"key"`
}

// Erase is what borderwatch erase has to heed.
type Erase struct {
	// Holds are what may not be erased: legal holds and retention duties.
	Holds []Hold `koanf:"holds"`
}

// Hold keeps rows from being erased unless the request names a ground against it. What is not given is not asked: a hold
// without actors, data sets and classes is on everything.
type Hold struct {
	// Name is how a request refers to it, such as LIT-2026-4.
	Name string `koanf:"name"`
	// Reason is shown to whoever wants to erase.
	Reason   string   `koanf:"reason"`
	Actors   []string `koanf:"actors"`
	Datasets []string `koanf:"datasets"`
	Classes  []string `koanf:"classes"`
	// Until is the last day of the hold, 2031-12-31. Empty: it has no end.
	Until string `koanf:"until"`
}

// List returns the tokens one by one.
func (s *Serve) List() []string { return strings.Fields(s.Tokens.Reveal()) }

// ServerTLS secures what is served. The zero value is plain HTTP: for one machine, or behind a proxy that does TLS.
type ServerTLS struct {
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
	// ClientCAFile holds the PEM certificates that clients' certificates must come from. Without tokens, a certificate
	// is what proves the right to append; then readers need none.
	ClientCAFile string `koanf:"client_ca_file"`
}

// Batch says when a batch of one partition is cut: at the first of the three.
type Batch struct {
	// MaxRows is at most 450000. Smaller batches make ClickHouse merge more.
	MaxRows int `koanf:"max_rows"`
	// MaxBytes counts keys, values and headers.
	MaxBytes Bytes         `koanf:"max_bytes"`
	Linger   time.Duration `koanf:"linger"`
	// Memory bounds what all batches of a worker may hold between fetch and receipt. At the bound the worker reads no
	// further, and Kafka keeps the rest. At least max_bytes.
	Memory Bytes `koanf:"memory"`
	// InFlight is how many batches of a partition may be between the ledger and their receipt, 1 to 4.
	InFlight int `koanf:"in_flight"`
}

// HTTP serves /metrics, /livez, /readyz and /debug/pprof/.
type HTTP struct {
	// Listen is host:port. Only this machine by default, for metrics and profiles tell much. Empty: nothing is served.
	Listen string `koanf:"listen"`
	// Profiling serves /debug/pprof/. Turn it off where others than operators reach the address.
	Profiling bool `koanf:"profiling"`
}

// Log is what the process writes to standard error.
type Log struct {
	// Format is text or json.
	Format string `koanf:"format"`
	// Level is debug, info, warn or error.
	Level string `koanf:"level"`
}

// Limits are what a record may be before it is a dead letter.
type Limits struct {
	// MessageBytes is the largest record value.
	MessageBytes Bytes `koanf:"message_bytes"`
	// Depth is how deep objects and lists may be nested.
	Depth int `koanf:"depth"`
	// DeadLettersInRow is how many refused records one after the other park a partition and page somebody.
	DeadLettersInRow int `koanf:"dead_letters_in_row"`
}

// Notices are found by questions over stored rows: reused event ids, gaps in numbers, silent feeds and more.
type Notices struct {
	// Every is the time between two rounds of questions. One worker of the group asks. 0: none does.
	Every time.Duration `koanf:"every"`
	// Lookback is how far back an event id or a number is compared. Longer costs ClickHouse more with each round.
	Lookback time.Duration `koanf:"lookback"`
}

// Console is the web console and its API. It reads clickhouse with an account of the role bw_api.
type Console struct {
	// Listen is host:port.
	Listen string `koanf:"listen"`
	// URL is the address in people's browsers, such as https://borderwatch.example.com. Cookies are for https only where it
	// begins so, and OpenID Connect needs it. Empty: http:// and Listen.
	URL string    `koanf:"url"`
	TLS ServerTLS `koanf:"tls"`
	// Users is the file of local users. Empty: nobody signs in with a password.
	Users string `koanf:"users"`
	// Tokens is the file in which API tokens are kept, hashed. Empty: in memory, until the console stops.
	Tokens string `koanf:"tokens"`
	OIDC   OIDC   `koanf:"oidc"`
	// Partner is what the partner's page says of his own way to the data.
	Partner ConsolePartner `koanf:"partner"`
}

// OIDC signs people in with an OpenID Connect provider.
type OIDC struct {
	// Issuer is the provider's address as in its discovery document. Empty: no such sign-in.
	Issuer   string `koanf:"issuer"`
	ClientID string `koanf:"client_id"`
	// ClientSecret, or better the file that holds it.
	ClientSecret     Secret `koanf:"client_secret"`
	ClientSecretFile string `koanf:"client_secret_file"`
	// GroupsClaim of the ID token holds a person's groups.
	GroupsClaim string `koanf:"groups_claim"`
	// NameClaim of the ID token is what a person is called in records: unique, and not for the person to choose.
	NameClaim string   `koanf:"name_claim"`
	Scopes    []string `koanf:"scopes"`
	// Roles are group=role, a line for each role of a group.
	Roles []string `koanf:"roles"`
}

// ConsolePartner is what the partner's page says; nothing is connected to.
type ConsolePartner struct {
	HTTP     string `koanf:"clickhouse_http"`
	Native   string `koanf:"clickhouse_native"`
	Account  string `koanf:"account"`
	Verifier string `koanf:"verifier_key"`
}

// Default returns the configuration before anything is set.
func Default() Config {
	return Config{
		Kafka: Kafka{
			Group: "borderwatch", ClientID: "borderwatch", Epoch: 1, DeadLetterTopic: "borderwatch.dead-letters",
			Fetch:          Fetch{MaxBytes: 1 << 20, MaxBatch: 64 << 20, MaxWait: 500 * time.Millisecond, ReadAhead: 2},
			SessionTimeout: 45 * time.Second, RebalanceTimeout: 75 * time.Second,
		},
		ClickHouse: ClickHouse{
			Hosts: []string{"127.0.0.1:9000"}, Database: "bw", Username: "bw_ingest", Compression: "none",
			InsertTimeout: time.Minute,
		},
		Bundle:  Bundle{Reload: 10 * time.Second},
		Ledger:  Ledger{Serve: Serve{Listen: "127.0.0.1:9380", Heartbeat: time.Minute}},
		Batch:   Batch{MaxRows: 262_144, MaxBytes: 96 << 20, Linger: time.Second, Memory: 384 << 20, InFlight: 2},
		HTTP:    HTTP{Listen: "127.0.0.1:9370", Profiling: true},
		Log:     Log{Format: "text", Level: "info"},
		Limits:  Limits{MessageBytes: 1 << 20, Depth: 32, DeadLettersInRow: 10_000},
		Notices: Notices{Every: time.Minute, Lookback: 24 * time.Hour},
		Console: Console{Listen: "127.0.0.1:9390", OIDC: OIDC{GroupsClaim: "groups", NameClaim: "sub", Scopes: []string{}, Roles: []string{}}},
	}
}

// Sources lists every feed: those configured, and a native one for each topic that has none.
func (c *Config) Sources() []Feed {
	feeds := make([]Feed, 0, len(c.Feeds)+len(c.Kafka.Topics))
	seen := make(map[string]bool)
	for _, f := range c.Feeds {
		feeds = append(feeds, f.withDefaults())
		seen[f.Topic] = true
	}
	for _, topic := range c.Kafka.Topics {
		if !seen[topic] {
			feeds = append(feeds, Feed{Name: topic, Topic: topic}.withDefaults())
			seen[topic] = true
		}
	}
	return feeds
}

// AllTopics lists the topics to read, each once.
func (c *Config) AllTopics() []string {
	var topics []string
	seen := make(map[string]bool)
	for _, f := range c.Sources() {
		if !seen[f.Topic] {
			topics = append(topics, f.Topic)
			seen[f.Topic] = true
		}
	}
	return topics
}

func (f Feed) withDefaults() Feed {
	if f.Adapter == "" {
		f.Adapter = "native"
	}
	if f.IdentityScope == "" {
		f.IdentityScope = f.Name
	}
	return f
}
