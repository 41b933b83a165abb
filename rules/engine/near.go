package engine

import "borderwatch/schemas/alert"

// takesNear counts a nearly matched rule and reports whether it is one of the first by id, which are all that is kept.
func takesNear(out *alert.Verdict, id string) bool {
	out.NearTotal++
	return len(out.Near) < alert.MaxNear || id < out.Near[alert.MaxNear-1].RuleID
}

// addNear keeps a rule that takesNear takes, in the place that its id has.
func addNear(out *alert.Verdict, near alert.Near) {
	if len(out.Near) < alert.MaxNear {
		out.Near = append(out.Near, near)
	}
	i := len(out.Near) - 1
	for ; i > 0 && out.Near[i-1].RuleID > near.RuleID; i-- {
		out.Near[i] = out.Near[i-1]
	}
	out.Near[i] = near
}
