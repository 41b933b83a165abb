package engine

import (
	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Candidates fills in the matched and nearly matched rules through the index, and panics where the index does: judging
// would go on by the rules one by one and hide it. arrived is nil but for late events.
func (e *Engine) Candidates(ev, arrived *access.Event, out *alert.Verdict) {
	out.Reset()
	j := judgement{engine: e, ev: ev, arrived: arrived, day: policy.DayOf(ev.Time), out: out}
	j.candidates()
}
