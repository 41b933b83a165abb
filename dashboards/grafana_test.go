package dashboards_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"borderwatch/consumers/embedded/embeddedtest"
	"borderwatch/consumers/kafka"
	"borderwatch/consumers/ledger"
	"borderwatch/consumers/notice"
	"borderwatch/consumers/pipeline"
)

func TestMain(m *testing.M) { embeddedtest.Main(m) }

// dashboard is what these tests read of a Grafana dashboard.
type dashboard struct {
	file   string
	UID    string
	Title  string
	Panels []panel
}

type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []target
}

type target struct {
	Datasource struct{ Type, UID string }
	Expr       string
	RawSQL     string `json:"rawSql"`
	Format     any
}

func dashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob("grafana/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	out := make([]dashboard, len(files))
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &out[i]); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[i].file = file
	}
	return out
}

// TestPanelsSayWhatTheyAnswer checks the shape: unique ids, a question on every panel, a grid without overlaps, and data
// sources that are provisioned.
func TestPanelsSayWhatTheyAnswer(t *testing.T) {
	sources := provisioned(t)
	uids := map[string]bool{}
	for _, d := range dashboards(t) {
		if d.UID == "" || d.Title == "" || uids[d.UID] {
			t.Errorf("%s: uid %q and title %q must be there and be its own", d.file, d.UID, d.Title)
		}
		uids[d.UID] = true
		ids := map[int]bool{}
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s: id %d is given twice", d.file, p.ID)
			}
			ids[p.ID] = true
			occupy(t, d.file, p, taken)
			if p.Type == "row" {
				continue
			}
			if !strings.Contains(p.Description, "?") {
				t.Errorf("%s: panel %q says not which question it answers", d.file, p.Title)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s: panel %q asks nothing", d.file, p.Title)
			}
			for _, q := range p.Targets {
				if sources[q.Datasource.UID] != q.Datasource.Type || q.Datasource.Type == "" {
					t.Errorf("%s: panel %q uses data source %v, which is not provisioned", d.file, p.Title, q.Datasource)
				}
			}
		}
	}
}

// occupy reports a panel that lies outside the 24 columns or over another one.
func occupy(t *testing.T, file string, p panel, taken map[[2]int]string) {
	t.Helper()
	g := p.GridPos
	if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
		t.Errorf("%s: panel %q lies at %+v, outside the grid", file, p.Title, g)
	}
	for x := g.X; x < g.X+g.W; x++ {
		for y := g.Y; y < g.Y+g.H; y++ {
			if other, ok := taken[[2]int{x, y}]; ok {
				t.Errorf("%s: panel %q lies over %q", file, p.Title, other)
				return
			}
			taken[[2]int{x, y}] = p.Title
		}
	}
}

// provisioned lists the types of the data sources by uid.
func provisioned(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("grafana/provisioning/datasources/borderwatch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Datasources []struct{ UID, Type string }
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range file.Datasources {
		out[s.UID] = s.Type
	}
	return out
}

var (
	metricName    = regexp.MustCompile(`\bborderwatch_[a-z0-9_]+`)
	recordedName  = regexp.MustCompile(`\bborderwatch:[a-z0-9_:]+`)
	describedName = regexp.MustCompile(`fqName: "([^"]+)"`)
)

// registered lists the metrics of a worker, those without a value among them.
func registered() map[string]bool {
	registry := prometheus.NewRegistry()
	pipeline.NewMetrics(registry)
	pipeline.RegisterKafka(registry, &kafka.Counters{})
	notice.NewMetrics(registry)
	ledger.RegisterMetrics(registry, &ledger.Log{}, true)
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Describe(descriptions)
	}()
	out := map[string]bool{}
	for d := range descriptions {
		if m := describedName.FindStringSubmatch(d.String()); m != nil {
			out[m[1]] = true
		}
	}
	return out
}

// TestMetricsExist fails where a dashboard or an alert rule names a metric that no worker has, and where a worker has
// one that nobody looks at.
func TestMetricsExist(t *testing.T) {
	metrics, recorded := registered(), rules(t).recorded()
	if len(metrics) < 25 {
		t.Fatalf("only %d metrics are described", len(metrics))
	}
	used := map[string]bool{}
	check := func(place, expr string) {
		for _, name := range metricName.FindAllString(expr, -1) {
			used[name] = true
			if !metrics[name] {
				t.Errorf("%s: no worker has the metric %s", place, name)
			}
		}
		for _, name := range recordedName.FindAllString(expr, -1) {
			if !recorded[name] {
				t.Errorf("%s: no rule records %s", place, name)
			}
		}
	}
	for _, r := range rules(t).all() {
		check("prometheus/alerts.yaml: "+r.Alert+r.Record, r.Expr)
	}
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				check(d.file+": "+p.Title, q.Expr)
			}
		}
	}
	for name := range metrics {
		if !used[name] && !raw[name] {
			t.Errorf("%s is on no dashboard and in no alert rule", name)
		}
	}
}

// raw are metrics for a closer look than a dashboard's.
var raw = map[string]bool{
	"borderwatch_ledger_checkpoint_leaves": true, // its age is watched
	"borderwatch_stored_offset":            true, // the lag is shown
	"borderwatch_kafka_fetches_total":      true, // bytes and records are shown
	"borderwatch_kafka_commits_total":      true, // batches are shown
}
