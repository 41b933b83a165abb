package lint_test

import "testing"

func TestUSForm(t *testing.T) {
	expect(t, find(t, "us-form", today, rule("data.form: clear", "law: ['28 CFR 202.401']\n")), "the form of the data never exempts under 28 CFR 202")
	expect(t, find(t, "us-form", today, rule("data.form: clear", "law: ['GDPR Art. 32']\n")))
	expect(t, find(t, "us-form", today, rule("any: [{data.form: clear}, {action: read}]", "law: 28 CFR Part 202\n")), "never exempts")
}
