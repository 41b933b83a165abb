package access

import "strings"

// Vocabulary is a closed list of words. Index 0 is always "unknown": absent, null, "" and "unknown" are one thing.
// A word's index is part of the stored format, so words are only ever appended.
type Vocabulary struct {
	words []string
	slots [vocabularySlots]uint8 // index+1 of a word, by its key and then in the slots behind; 0 ends the search
}

// vocabularySlots is a power of two, several times what any list has.
const vocabularySlots = 128

func newVocabulary(words ...string) *Vocabulary {
	v := &Vocabulary{words: append([]string{"unknown"}, words...)}
	for i, w := range v.words {
		at := wordKey(w)
		for v.slots[at] != 0 {
			at = (at + 1) % vocabularySlots
		}
		v.slots[at] = uint8(i + 1)
	}
	return v
}

// wordKey tells most words of a list apart by their length and two letters. The word is not empty.
func wordKey(w string) uint {
	return (uint(len(w)) + 5*uint(w[0]) + 11*uint(w[len(w)-1])) % vocabularySlots
}

// Parse returns the index of word. The empty word is unknown (0). It allocates nothing.
func (v *Vocabulary) Parse(word string) (uint8, bool) {
	if word == "" {
		return 0, true
	}
	for at := wordKey(word); v.slots[at] != 0; at = (at + 1) % vocabularySlots {
		if i := v.slots[at] - 1; v.words[i] == word {
			return i, true
		}
	}
	return 0, false
}

// Word returns the word at index i, "unknown" for an index out of range.
func (v *Vocabulary) Word(i uint8) string {
	if int(i) >= len(v.words) {
		return v.words[0]
	}
	return v.words[i]
}

// Words returns all words, "unknown" first. The slice is shared and must not be changed.
func (v *Vocabulary) Words() []string { return v.words }

// String lists the words for an error message, without "unknown".
func (v *Vocabulary) String() string { return strings.Join(v.words[1:], ", ") }

// The vocabularies of the data-access event. Names follow OCSF and ECS where those have a word.
var (
	ActorKinds     = newVocabulary("employee", "contractor", "vendor", "service", "system", "subject", "anonymous")
	Employments    = newVocabulary("active", "leave", "left")
	Answers        = newVocabulary("yes", "no")
	Actions        = newVocabulary("view", "read", "query", "list", "export", "download", "copy", "replicate", "write", "delete", "decrypt", "grant", "admin", "login", "other")
	Outcomes       = newVocabulary("success", "denied", "failure")
	DataForms      = newVocabulary("clear", "pseudonymised", "aggregated", "encrypted")
	Mechanisms     = newVocabulary("adequacy", "scc", "bcr", "dpf", "derogation", "none")
	Decisions      = newVocabulary("allowed", "blocked", "bypassed")
	NetworkKinds   = newVocabulary("corporate", "residential", "mobile", "hosting", "vpn", "tor", "proxy", "relay", "service")
	Verdicts       = newVocabulary("agree", "single", "conflict", "masked", "service")
	Expectations   = newVocabulary("home", "away")
	Confidences    = newVocabulary("low", "medium", "high")
	SubjectRegions = newVocabulary("EU", "UK", "CH", "US", "IN", "CN", "OTHER")
	DataClasses    = newVocabulary("restricted", "sensitive", "personal", "public")
	// DataCategories holds the sensitive personal data and government-related data of 28 CFR 202 and the kinds of
	// personal data that a catalogue usually tells apart.
	DataCategories = newVocabulary("genomic", "epigenomic", "proteomic", "transcriptomic", "biometric", "geolocation",
		"health", "financial", "identifiers", "government_related", "contact", "content", "credentials", "employment", "other")
)

// ActorKind tells what stands behind an access: a word of ActorKinds.
type ActorKind uint8

// The kinds of actor.
const (
	ActorUnknown ActorKind = iota
	ActorEmployee
	ActorContractor
	ActorVendor
	ActorService
	ActorSystem
	ActorSubject
	ActorAnonymous
)

func (k ActorKind) String() string { return ActorKinds.Word(uint8(k)) }

// Person reports whether the kind is a human being.
func (k ActorKind) Person() bool {
	return k == ActorEmployee || k == ActorContractor || k == ActorVendor || k == ActorSubject || k == ActorAnonymous
}

// Employment is a word of Employments.
type Employment uint8

// The states of an employment.
const (
	EmploymentUnknown Employment = iota
	EmploymentActive
	EmploymentLeave
	EmploymentLeft
)

func (e Employment) String() string { return Employments.Word(uint8(e)) }

// Answer is yes, no or unknown.
type Answer uint8

// The answers.
const (
	AnswerUnknown Answer = iota
	Yes
	No
)

func (a Answer) String() string { return Answers.Word(uint8(a)) }

// AnswerOf turns a known boolean into an Answer.
func AnswerOf(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

// Action is what was done to the data: a word of Actions.
type Action uint8

// The actions.
const (
	ActionUnknown Action = iota
	ActionView
	ActionRead
	ActionQuery
	ActionList
	ActionExport
	ActionDownload
	ActionCopy
	ActionReplicate
	ActionWrite
	ActionDelete
	ActionDecrypt
	ActionGrant
	ActionAdmin
	ActionLogin
	ActionOther
)

func (a Action) String() string { return Actions.Word(uint8(a)) }

// Outcome is a word of Outcomes.
type Outcome uint8

// The outcomes of an access.
const (
	OutcomeUnknown Outcome = iota
	OutcomeSuccess
	OutcomeDenied
	OutcomeFailure
)

func (o Outcome) String() string { return Outcomes.Word(uint8(o)) }

// DataForm is a word of DataForms.
type DataForm uint8

// The forms in which data was opened.
const (
	FormUnknown DataForm = iota
	FormClear
	FormPseudonymised
	FormAggregated
	FormEncrypted
)

func (f DataForm) String() string { return DataForms.Word(uint8(f)) }

// Mechanism is the ground of a transfer under GDPR chapter V: a word of Mechanisms.
type Mechanism uint8

func (m Mechanism) String() string { return Mechanisms.Word(uint8(m)) }

// Decision is what a data gateway did: a word of Decisions.
type Decision uint8

// The decisions of a gateway.
const (
	DecisionUnknown Decision = iota
	DecisionAllowed
	DecisionBlocked
	DecisionBypassed
)

func (d Decision) String() string { return Decisions.Word(uint8(d)) }

// NetworkKind classes the network an address belongs to: a word of NetworkKinds.
type NetworkKind uint8

// The kinds of network.
const (
	NetworkUnknown NetworkKind = iota
	NetworkCorporate
	NetworkResidential
	NetworkMobile
	NetworkHosting
	NetworkVPN
	NetworkTor
	NetworkProxy
	NetworkRelay
	NetworkService
)

func (k NetworkKind) String() string { return NetworkKinds.Word(uint8(k)) }

// Masks reports whether an address of this kind says nothing about where a person is.
func (k NetworkKind) Masks() bool {
	return k == NetworkHosting || k == NetworkVPN || k == NetworkTor || k == NetworkProxy || k == NetworkRelay
}

// LocationVerdict is a word of Verdicts.
type LocationVerdict uint8

// The location verdicts.
const (
	LocationUnknown LocationVerdict = iota
	LocationAgree
	LocationSingle
	LocationConflict
	LocationMasked
	LocationService
)

func (v LocationVerdict) String() string { return Verdicts.Word(uint8(v)) }

// Expectation tells whether somebody is where office and roster say he should be.
type Expectation uint8

// The expectations.
const (
	ExpectedUnknown Expectation = iota
	ExpectedHome
	ExpectedAway
)

func (x Expectation) String() string { return Expectations.Word(uint8(x)) }

// Confidence grades the evidence of a place: high where two independent kinds agree, medium for one kind, low for an
// address alone where databases disagree or the network is a cloud back end.
type Confidence uint8

// The confidences.
const (
	ConfidenceUnknown Confidence = iota
	ConfidenceLow
	ConfidenceMedium
	ConfidenceHigh
)

func (c Confidence) String() string { return Confidences.Word(uint8(c)) }
