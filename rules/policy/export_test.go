package policy

import "borderwatch/schemas/access"

// OperatorWords returns the operators of a type of field for the schema generator, "" for is.
func OperatorWords(t access.Type) []string {
	var words []string
	for _, op := range operatorsOf[t] {
		words = append(words, op.String())
	}
	return words
}

// The closed lists that the schemas repeat.
var (
	StatusWords    = statusWords
	SeverityWords  = severityWords
	KindWords      = kindWords
	OutcomeWords   = outcomeWords
	GroupKindWords = groupKindWords
)
