package lint_test

import "testing"

func TestLiteralUnknown(t *testing.T) {
	expect(t, find(t, "literal-unknown", today, rule("location.country: unknown; data.classes: [public, unknown]; actor.id: unknown", "")),
		"write location.country missing: true", "test.yaml:8:26: data.classes is never equal to unknown", "write actor.id missing: true")
	expect(t, find(t, "literal-unknown", today, rule("location.verdict: unknown; network.kind: [unknown, vpn]; actor.id missing: true", "")))
}
