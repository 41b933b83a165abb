package main

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"borderwatch/cmd/borderwatch/config"
	"borderwatch/consumers/bundle"
	schema "borderwatch/schemas/clickhouse"
)

// top is the repository's top, from where docker compose runs.
const top = "../.."

// composeFile is what these tests read of docker-compose.yml. Whether an engine runs it they cannot tell.
type composeFile struct {
	Services map[string]composeService
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

type composeService struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	Environment map[string]string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Secrets     []string
	Volumes     []string
	Ports       []string
	Healthcheck struct{ Test []string }
	Restart     string
	ReadOnly    bool `yaml:"read_only"`
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kafka", "clickhouse", "migrate", "ledger", "ingest", "prometheus", "alertmanager", "grafana"} {
		if _, ok := c.Services[name]; !ok {
			t.Fatalf("service %s is missing", name)
		}
	}
	return c
}

var pinned = regexp.MustCompile(`^[\w./-]+:[\w.-]*\d[\w.-]*$`)

// rolling are tags without a version: the base has none, and "local" is what the file builds itself.
var rolling = []string{"gcr.io/distroless/static-debian12:nonroot", "borderwatch:local"}

func TestComposeImagesArePinned(t *testing.T) {
	var images []string
	for _, s := range readCompose(t).Services {
		images = append(images, s.Image)
	}
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(dockerfile), -1) {
		images = append(images, m[1])
	}
	for _, image := range images {
		if !pinned.MatchString(image) && !slices.Contains(rolling, image) {
			t.Errorf("image %q names no version", image)
		}
	}
	module, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	if !strings.Contains(string(dockerfile), "FROM golang:"+string(version[1])+".") {
		t.Errorf("the Dockerfile does not build with Go %s of go.mod", version[1])
	}
}

// TestComposeExposesNothing checks that ports are on this machine only, that no password is in the file, and that what
// runs for long is watched and cannot write where it need not.
func TestComposeExposesNothing(t *testing.T) {
	writes := []string{"kafka", "topics", "clickhouse"} // their images' scripts write into their own root
	for name, s := range readCompose(t).Services {
		for _, port := range s.Ports {
			address, _, _ := strings.Cut(port, ":")
			if ip, err := netip.ParseAddr(address); err != nil || !ip.IsLoopback() {
				t.Errorf("%s: port %s is reached from outside", name, port)
			}
		}
		for key, value := range s.Environment {
			secret := strings.Contains(key, "PASSWORD") || strings.Contains(key, "TOKEN")
			if secret && !strings.HasPrefix(value, "/run/secrets/") {
				t.Errorf("%s: %s holds a secret; name a file", name, key)
			}
		}
		if s.Restart != "" && len(s.Healthcheck.Test) == 0 {
			t.Errorf("%s runs for long and has no health check", name)
		}
		if !s.ReadOnly && !slices.Contains(writes, name) {
			t.Errorf("%s: the root file system can be written", name)
		}
	}
}

func TestComposeNamesWhatExists(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		for other, d := range s.DependsOn {
			one := c.Services[other]
			switch {
			case one.Image == "":
				t.Errorf("%s waits for %s, which there is not", name, other)
			case d.Condition == "service_healthy" && len(one.Healthcheck.Test) == 0:
				t.Errorf("%s waits for the health of %s, which has no check", name, other)
			case d.Condition == "service_completed_successfully" && one.Restart != "":
				t.Errorf("%s waits for the end of %s, which runs on", name, other)
			}
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File != ".secrets/"+secret {
				t.Errorf("%s: secret %s is not made by secrets.sh", name, secret)
			}
		}
		for _, v := range s.Volumes {
			source := variable.ReplaceAllString(v, "$1")
			source, _, _ = strings.Cut(source, ":")
			if _, named := c.Volumes[source]; named {
				continue
			}
			if _, err := os.Stat(filepath.Join(top, source)); err != nil {
				t.Errorf("%s mounts %s: %v", name, source, err)
			}
		}
		if s.Build.Dockerfile != "" {
			if _, err := os.Stat(filepath.Join(top, s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// variable is ${NAME:-value}.
var variable = regexp.MustCompile(`\$\{\w+:-([^}]*)\}`)

// TestComposeConfigurations loads each configuration as its command does and looks for the secrets it reads.
func TestComposeConfigurations(t *testing.T) {
	c := readCompose(t)
	accounts := composeAccounts(t)
	for name, needs := range map[string]config.Needs{"ingest": ingestNeeds, "ledger": ledgerNeeds, "migrate": config.NeedClickHouse} {
		file := "compose/" + name + ".yaml"
		loaded, err := config.Load(config.Options{File: file, Needs: needs})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		service := c.Services[name]
		if !slices.Contains(service.Command, "/etc/borderwatch/"+name+".yaml") || service.Command[0] != name {
			t.Errorf("%s runs %v, not its configuration", name, service.Command)
		}
		for _, path := range []string{loaded.ClickHouse.PasswordFile, loaded.Ledger.TokenFile, loaded.Ledger.Serve.TokensFile} {
			if secret := filepath.Base(path); path != "" && !slices.Contains(service.Secrets, secret) {
				t.Errorf("%s reads %s, which it is not given", name, path)
			}
		}
		user := loaded.ClickHouse.Username
		if name == "ingest" && accounts[user] != "bw_ingest" || name == "migrate" && user != c.Services["clickhouse"].Environment["CLICKHOUSE_USER"] {
			t.Errorf("%s: account %s is not made for it", name, user)
		}
	}
	worker, err := config.Load(config.Options{File: "compose/ingest.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range worker.AllTopics() {
		if !strings.Contains(strings.Join(c.Services["topics"].Command, " "), topic) {
			t.Errorf("nobody makes topic %s", topic)
		}
	}
}

// composeAccounts are the accounts that accounts.sh makes, with their roles, each of which must exist.
func composeAccounts(t *testing.T) map[string]string {
	t.Helper()
	script, err := os.ReadFile("compose/accounts.sh")
	if err != nil {
		t.Fatal(err)
	}
	accounts := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\taccount (\w+) (\w+)$`).FindAllStringSubmatch(string(script), -1) {
		accounts[m[1]] = m[2]
		if !slices.ContainsFunc(schema.Roles(schema.Layout{}), func(r schema.Role) bool { return r.Name == m[2] }) {
			t.Errorf("account %s: there is no role %s", m[1], m[2])
		}
	}
	if accounts["grafana"] != "bw_api" || accounts["partner"] != "bw_partner" {
		t.Errorf("accounts are %v", accounts)
	}
	return accounts
}

// TestComposeBundle compiles the files that the worker mounts.
func TestComposeBundle(t *testing.T) {
	dir := t.TempDir()
	mounted := 0
	for _, v := range readCompose(t).Services["ingest"].Volumes {
		source, target, _ := strings.Cut(strings.TrimSuffix(v, ":ro"), ":")
		name, ok := strings.CutPrefix(target, "/etc/borderwatch/bundle/")
		if !ok {
			continue
		}
		mounted++
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(top, source))); err != nil {
			t.Fatal(err)
		}
	}
	b, err := bundle.Load(bundle.Source{Dir: dir})
	if err != nil || mounted == 0 {
		t.Fatalf("%d folders: %v", mounted, err)
	}
	if len(b.Parts) < 12 {
		t.Errorf("the bundle has %d parts", len(b.Parts))
	}
}

// TestComposeSecrets runs secrets.sh twice: it makes every secret, keeps what is there, and keeps others out.
func TestComposeSecrets(t *testing.T) {
	script, err := filepath.Abs("compose/secrets.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	made := map[string]string{}
	for run := range 2 {
		cmd := exec.CommandContext(t.Context(), "sh", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for name, secret := range readCompose(t).Secrets {
			value, err := os.ReadFile(filepath.Join(dir, secret.File))
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`^[0-9a-f]{48}$`).Match(value) {
				t.Errorf("%s is %q", name, value)
			}
			if run == 1 && made[name] != string(value) {
				t.Errorf("%s was changed by the second run", name)
			}
			made[name] = string(value)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, ".secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf(".secrets: %v, %v", info.Mode(), err)
	}
	env, err := os.ReadFile(filepath.Join(dir, ".env"))
	if err != nil || !regexp.MustCompile(`^KAFKA_CLUSTER_ID=[0-9A-Za-z]{22}\n$`).Match(env) {
		t.Errorf(".env is %q, %v", env, err)
	}
}
