package config

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
)

// Options says where the configuration comes from.
type Options struct {
	File    string   // YAML file; "" for none
	Environ []string // "NAME=value"; variables without EnvPrefix are ignored
	Set     []string // "key=value", from flags
	Needs   Needs    // what the command cannot do without
	// OtherVariables start with EnvPrefix and are no keys: other packages read them.
	OtherVariables []string
}

// Loaded is a configuration and where each value came from.
type Loaded struct {
	Config
	places map[string]string // by path, "feeds[0].name" inside lists
}

// Load reads and checks the configuration. It opens no other file than Options.File: certificates, secrets and the
// bundle are looked at by whoever uses them. The error is Problems, with all there are.
func Load(o Options) (*Loaded, error) {
	var problems Problems
	l := &Loaded{places: make(map[string]string)}
	k := koanf.New(".")
	if err := k.Load(structs.Provider(Default(), "koanf"), nil); err != nil {
		return nil, fmt.Errorf("defaults: %w", err)
	}
	if o.File != "" {
		values := readFile(o.File, l.places, &problems)
		if err := k.Load(confmap.Provider(values, ""), nil); err != nil {
			return nil, fmt.Errorf("%s: %w", o.File, err)
		}
	}
	if err := k.Load(l.environment(o, &problems), nil); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	if err := k.Load(confmap.Provider(l.flags(o.Set, &problems), "."), nil); err != nil {
		return nil, fmt.Errorf("--set: %w", err)
	}
	// Every value has its type already, so this cannot fail for what somebody wrote.
	strict := &mapstructure.DecoderConfig{}
	if err := k.UnmarshalWithConf("", &l.Config, koanf.UnmarshalConf{DecoderConfig: strict}); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	l.validate(o.Needs, &problems)
	if len(problems) > 0 {
		return nil, problems
	}
	return l, nil
}

// testVariables steer the project's own tests, which start commands with the environment that they were given.
var testVariables = []string{"BORDERWATCH_REQUIRE_REAL", "BORDERWATCH_RUNS", "BORDERWATCH_SEED", "BORDERWATCH_TEST_GEOIP",
	"BORDERWATCH_TEST_KAFKA", "BORDERWATCH_TEST_LOG"}

// environment gives koanf the variables that name a key, and reports those that name none.
func (l *Loaded) environment(o Options, problems *Problems) *env.Env {
	byName := make(map[string]*key, len(settable))
	names := make([]string, len(settable))
	for i, k := range settable {
		byName[k.env()], names[i] = k, k.env()
	}
	environ := slices.Clone(o.Environ)
	slices.Sort(environ)
	return env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			k := byName[name]
			switch {
			case k != nil:
			case slices.Contains(o.OtherVariables, name), slices.Contains(testVariables, name):
				return "", nil
			default:
				problems.unknown(name, "variable", name, nearest(name, names))
				return "", nil
			}
			v := (&reader{name, l.places, problems}).text(k, value)
			if v == nil {
				return "", nil
			}
			return k.path, v
		},
	})
}

// flags reads key=value pairs into a flat map.
func (l *Loaded) flags(pairs []string, problems *Problems) map[string]any {
	values := make(map[string]any)
	for _, pair := range pairs {
		path, value, ok := strings.Cut(pair, "=")
		if !ok {
			problems.add("--set "+pair, "write --set key=value")
			continue
		}
		i := slices.IndexFunc(settable, func(k *key) bool { return k.path == path })
		if i < 0 {
			problems.unknown("--set "+path, "key", path, nearest(path, Keys()))
			continue
		}
		if v := (&reader{"--set " + path, l.places, problems}).text(settable[i], value); v != nil {
			values[path] = v
		}
	}
	return values
}

// Place tells where a value was set, "default" where nobody did.
func (l *Loaded) Place(path string) string { return cmp.Or(l.places[path], "default") }

// ReadSecrets reads the files that hold secrets into the fields of the secrets. The trailing line end is cut off. The
// error is Problems.
func (l *Loaded) ReadSecrets() error {
	var problems Problems
	for _, s := range l.secrets() {
		if *s.file == "" {
			continue
		}
		data, err := os.ReadFile(*s.file)
		if err != nil {
			problems.add(l.Place(s.path+"_file"), "%s_file: %v", s.path, err)
			continue
		}
		*s.value = Secret(strings.TrimRight(string(data), "\r\n"))
		if *s.value == "" {
			problems.add(l.Place(s.path+"_file"), "%s_file: %s is empty", s.path, *s.file)
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// secret is a value that may come from a file.
type secret struct {
	path  string
	value *Secret
	file  *string
}

func (l *Loaded) secrets() []secret {
	return []secret{
		{"kafka.sasl.password", &l.Kafka.SASL.Password, &l.Kafka.SASL.PasswordFile},
		{"clickhouse.password", &l.ClickHouse.Password, &l.ClickHouse.PasswordFile},
		{"ledger.token", &l.Ledger.Token, &l.Ledger.TokenFile},
		{"ledger.serve.tokens", &l.Ledger.Serve.Tokens, &l.Ledger.Serve.TokensFile},
		{"console.oidc.client_secret", &l.Console.OIDC.ClientSecret, &l.Console.OIDC.ClientSecretFile},
	}
}

// Recheck checks the configuration again, after ReadSecrets: a secret from a file has to be good too.
func (l *Loaded) Recheck(needs Needs) error {
	var problems Problems
	c := checker{l, &problems}
	c.required(needs)
	c.serve()
	if len(problems) > 0 {
		return problems
	}
	return nil
}
