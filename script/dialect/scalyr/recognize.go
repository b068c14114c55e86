package scalyr

import (
	"regexp"

	"scriptbridge/script/dialect"
)

// Recognition tells modules by what they import.
func (Dialect) Recognition() dialect.Recognition {
	return dialect.Recognition{Text: func(text []byte) dialect.Clue {
		if agentWords.Match(text) {
			return dialect.Clue{Strength: dialect.Certain, Why: "its text speaks of ScalyrMonitor"}
		}
		return dialect.Clue{}
	}}
}

var agentWords = regexp.MustCompile(`\bScalyrMonitor\b|\bscalyr_agent\b`)
