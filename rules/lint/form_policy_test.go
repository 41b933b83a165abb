package lint_test

import "testing"

func TestFormPolicy(t *testing.T) {
	const names = "the rule T-1 looks at the form of the data, which is policy and not law, and names no policy"
	expect(t, find(t, "form-policy", today, rule("data.form not: pseudonymised", "law: GDPR Art. 32\n")), "test.yaml:8:3: "+names)
	expect(t, find(t, "form-policy", today, rule("any: [{data.form: clear}, {action: read}]", "")), names)
	expect(t, find(t, "form-policy", today, rule("data.form: clear", "law: ['GDPR Art. 32', 'Policy DP-7']\n")))
	expect(t, find(t, "form-policy", today, rule("data.form: clear", "law: ['GDPR Art. 32', 'Starting value: that pseudonymised data may leave']\n")))
	expect(t, find(t, "form-policy", today, rule("data.form: clear", "law: 28 CFR 202.401\n"))) // us-form's business
	expect(t, find(t, "form-policy", today, rule("data.form missing: true", "law: GDPR Art. 32\n")))
}
