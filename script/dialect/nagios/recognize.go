package nagios

import (
	"fmt"
	"regexp"

	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Recognition tells plugins by their folder, their name, the libraries that they
// use, and by a state that the exit code repeats.
func (Dialect) Recognition() dialect.Recognition {
	return dialect.Recognition{
		Folders:    []string{"nagios/plugins", "nagios/libexec", "monitoring-plugins"},
		FilePrefix: "check_",
		Text:       textClue,
		Output:     outputClue,
	}
}

var (
	pluginLibrary = regexp.MustCompile(`\b(Nagios|Monitoring)::Plugin\b|(?m)^\s*(from|import) nagiosplugin\b|\bSTATE_(OK|WARNING|CRITICAL|UNKNOWN)\b`)
	stateForm     = regexp.MustCompile(`\b(OK|WARNING|CRITICAL|UNKNOWN)\b`)
	perfdataForm  = regexp.MustCompile(`\|\s*('[^'=]+'|[^\s'=]+)=[-+]?[0-9.]+[^\s;]*(;|\s|$)`)
)

func textClue(text []byte) dialect.Clue {
	if pluginLibrary.Match(text) {
		return dialect.Clue{Strength: dialect.Good, Why: "its text uses a library of plugins"}
	}
	return dialect.Clue{}
}

func outputClue(o *process.Outcome) dialect.Clue {
	lines, state := lines.NotEmpty(o.Stdout), o.ExitCode
	if state < 0 || state >= len(states) || len(lines) == 0 {
		return dialect.Clue{}
	}
	said := stateForm.FindString(lines[0])
	switch {
	case said == states[state]:
		return dialect.Clue{Strength: dialect.Good, Why: fmt.Sprintf("it says %s and exits with %d", said, state)}
	case perfdataForm.MatchString(lines[0]):
		return dialect.Clue{Strength: dialect.Good, Why: "its first line has performance data behind a |"}
	}
	return dialect.Clue{}
}
