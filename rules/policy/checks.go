package policy

// CheckInfo describes a check of the reader for the page of checks and for tools.
type CheckInfo struct{ ID, Title, Why string }

// Checks lists what the reader refuses, by id. Each refusal has file, line and column; a worker refuses such a file too.
func Checks() []CheckInfo {
	return []CheckInfo{
		{"country-code", "a country is not an ISO 3166-1 alpha-2 code", "UK is GB, EL is GR, and EU is no country but the group @eea."},
		{"critical-ignore", "a critical rule ignores unknown", "What it cannot see would pass in silence."},
		{"duplicate-id", "an id of a rule, a group or an exception is used twice", "Verdicts of years ago name the id; it must mean one thing for ever."},
		{"duplicate-key", "a key is given twice", "Other YAML readers take the last one and say nothing."},
		{"empty-group", "a group has no member", "A line with `not` would hold for everybody, any other line for nobody."},
		{"exception-refused", "an exception names a rule that allows none", "Whether a rule may be suppressed is decided in the rule."},
		{"format", "a document does not begin with a format, or with one that does not exist", "Nothing is left out in silence because nobody knew what it was."},
		{"group-cycle", "a group contains itself", "Its members would depend on where one begins to read."},
		{"limits", "a file is larger than 256 KB, nested too deep, or there are over 10,000 rules", "Counted before anything is expanded, so a small file cannot fill the memory."},
		{"missing-key", "a key is missing", "What must be said has no default."},
		{"syntax", "a file is not YAML, or uses tabs, anchors, aliases or tags", "A file must read line by line as it is written."},
		{"unknown-field", "a condition or a test names a field that does not exist", "A misspelt condition that never fires is worse than a file that does not load."},
		{"unknown-group", "a group does not exist or lists something else", "An empty list in its place would change the answer."},
		{"unknown-key", "a key does not exist", "The line would do nothing."},
		{"unknown-operator", "an operator does not exist, or the field does not take it", "The line would do nothing."},
		{"unknown-rule", "an exception or its test names a rule that does not exist", "It would never apply."},
		{"unknown-word", "a word is not one of the field's or the key's", "Vocabularies are closed, so that a typing mistake is found here and not by an auditor."},
		{"value", "a value is none that the key or field can have", "Days are like 2026-11-23, numbers whole, ranges like 192.0.2.0/24, lists not empty."},
	}
}
