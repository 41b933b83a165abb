package engine

import (
	"math"
	"slices"

	"borderwatch/rules/policy"
)

// timeline is a value that changes at the beginning of some UTC days. It is resolved when rules are compiled, so that
// evaluating looks nothing up but the day.
type timeline[T any] struct {
	starts []policy.Day // ascending; the first is the beginning of time
	values []T

	members []policy.Member // what it was built from
}

const beginning policy.Day = math.MinInt32

// newTimeline builds the value of every stretch of days in which the same members are in force.
func newTimeline[T any](members []policy.Member, build func(inForce []policy.Member) T) *timeline[T] {
	t := &timeline[T]{starts: []policy.Day{beginning}, members: members}
	for _, m := range members {
		if m.From != policy.NoDay {
			t.starts = append(t.starts, m.From)
		}
		if m.Until != policy.NoDay {
			t.starts = append(t.starts, m.Until+1)
		}
	}
	slices.Sort(t.starts)
	t.starts = slices.Compact(t.starts)
	for _, day := range t.starts {
		var inForce []policy.Member
		for _, m := range members {
			if m.From <= day && (m.Until == policy.NoDay || day <= m.Until) {
				inForce = append(inForce, m)
			}
		}
		t.values = append(t.values, build(inForce))
	}
	return t
}

// at returns the value in force on the day.
func (t *timeline[T]) at(day policy.Day) *T {
	i := len(t.starts) - 1
	for i > 0 && t.starts[i] > day {
		i--
	}
	return &t.values[i]
}
