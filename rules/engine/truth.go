package engine

// Truth is the answer of a condition. Its order makes AND the minimum and OR the maximum.
type Truth uint8

// The answers.
const (
	False Truth = iota
	Maybe       // unknown: what the condition needs is missing or leaves both answers open
	True
)

func (t Truth) String() string { return [...]string{"false", "unknown", "true"}[t] }

func truthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

// negate turns true into false and leaves unknown.
func negate(t Truth, not bool) Truth {
	if not {
		return True - t
	}
	return t
}

// both joins the answers for a value and its reference: where both stay open, a condition is true if it holds for both,
// false if for neither, else unknown.
func both(value, reference bool) Truth {
	if value != reference {
		return Maybe
	}
	return truthOf(value)
}
