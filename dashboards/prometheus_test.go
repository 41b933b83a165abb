package dashboards_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"borderwatch/consumers/embedded/embeddedtest"
)

// ruleFile is a file of Prometheus rules.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) ruleFile {
	t.Helper()
	data, err := os.ReadFile("prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f ruleFile
	if err := yaml.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f ruleFile) all() (out []rule) {
	for _, g := range f.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

func (f ruleFile) recorded() map[string]bool {
	out := map[string]bool{}
	for _, r := range f.all() {
		if r.Record != "" {
			out[r.Record] = true
		}
	}
	return out
}

// TestAlertsAreTested fails where an alert has no test, tells nobody what to do or has a severity of its own making.
func TestAlertsAreTested(t *testing.T) {
	tests, err := os.ReadFile("prometheus/alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	severities := map[string]bool{"critical": true, "high": true, "medium": true, "low": true}
	for _, r := range rules(t).all() {
		if r.Alert == "" {
			continue
		}
		if !strings.Contains(string(tests), "alertname: "+r.Alert+"\n") {
			t.Errorf("%s has no test that expects it", r.Alert)
		}
		if !severities[r.Labels["severity"]] || r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
			t.Errorf("%s: severity %q, summary or action is missing or wrong", r.Alert, r.Labels["severity"])
		}
	}
}

// TestPrometheusAcceptsTheFiles asks Prometheus's and Alertmanager's own tools.
func TestPrometheusAcceptsTheFiles(t *testing.T) {
	for _, c := range [][]string{
		{"promtool", "check", "rules", "alerts.yaml"},
		{"promtool", "test", "rules", "alerts_test.yaml"},
		{"promtool", "check", "config", "prometheus.yaml"},
		{"amtool", "check-config", "alertmanager.yaml"},
	} {
		t.Run(strings.Join(c, " "), func(t *testing.T) { runTool(t, "prometheus", c) })
	}
}

// TestDashboardExpressionsParse hands every expression of the dashboards to promtool, as rules.
func TestDashboardExpressionsParse(t *testing.T) {
	variables := strings.NewReplacer("$__rate_interval", "5m", "$__range", "6h")
	var recordings []map[string]string
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if q.Expr != "" {
					recordings = append(recordings, map[string]string{
						"record": fmt.Sprintf("dashboard:panel:q%d", len(recordings)), "expr": variables.Replace(q.Expr)})
				}
			}
		}
	}
	data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": recordings}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	runTool(t, dir, []string{"promtool", "check", "rules", "rules.yaml"})
}

func runTool(t *testing.T, dir string, command []string) {
	t.Helper()
	path, err := exec.LookPath(command[0])
	if err != nil {
		embeddedtest.Unavailable(t, command[0], err)
	}
	cmd := exec.CommandContext(t.Context(), path, command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}
