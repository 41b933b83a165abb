package lint_test

import "testing"

func TestNotOnSets(t *testing.T) {
	expect(t, find(t, "not-on-sets", today, rule("data.classes not: public; data.subject_regions not: EU; data.categories not: health", "")),
		"test.yaml:7:3: data.classes not is false for a set with one of the words in it", "data.subject_regions", "data.categories")
	expect(t, find(t, "not-on-sets", today, rule("data.classes only: public; actor.kind not: service", "")))
}
