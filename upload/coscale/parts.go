package coscale

import (
	"strings"

	api "scriptbridge/coscale"
)

// unknownError is what is refused for ids that are not known, though they were
// made again lately: that may pass.
type unknownError struct{ *api.RefusedError }

// pointsBut are the points that are in none of the others.
func pointsBut(all []*series, others ...[]*series) (rest []*series) {
	in := make(map[ref]bool)
	for _, list := range others {
		for _, s := range list {
			for _, r := range s.refs {
				in[r] = true
			}
		}
	}
	for _, s := range all {
		var numbers []int
		for i, r := range s.refs {
			if !in[r] {
				numbers = append(numbers, i)
			}
		}
		if len(numbers) > 0 {
			rest = append(rest, s.only(numbers))
		}
	}
	return rest
}

// split sorts what an answer says of the points of a call: those that it
// refuses; those of which it does not say whether it has them, which it does
// where it names fewer than it refuses; and those whose ids it does not know.
func split(all []*series, answer *api.RefusedError) (refused, unsaid, unknown []*series) {
	add := func(s *series, lost bool) {
		if lost {
			unknown = append(unknown, s)
		} else {
			refused = append(refused, s)
		}
	}
	if len(answer.Points) == 0 && answer.Refused >= points(all) { // all, by a bridge of a former version
		for _, s := range all {
			add(s, strings.HasPrefix(answer.Reason, "there is no metric "))
		}
		return refused, nil, unknown
	}
	named := make([]bool, len(all))
	count := 0
	for _, r := range answer.Points {
		if r.Index < 0 || r.Index >= len(all) {
			continue
		}
		part := all[r.Index].only(r.Points)
		if len(part.points) == 0 {
			continue
		}
		count += len(part.points)
		named[r.Index] = true
		add(part, r.Reason == api.UnknownMetric || r.Reason == api.UnknownSubject)
	}
	if count < answer.Refused {
		for i, s := range all {
			if !named[i] {
				unsaid = append(unsaid, s)
			}
		}
	}
	return refused, unsaid, unknown
}
