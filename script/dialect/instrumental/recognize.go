package instrumental

import (
	"fmt"
	"regexp"

	"scriptbridge/internal/texts"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Recognition tells scripts by their folder, and by lines `NAME VALUE [TIME]`.
func (Dialect) Recognition() dialect.Recognition {
	return dialect.Recognition{Folders: []string{homeFolder}, Output: outputClue}
}

var expositionName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// outputClue looks at lines that may be Prometheus's too. They are
// ours when a name could not be Prometheus's, when a time is in seconds, or when
// nothing tells.
func outputClue(o *process.Outcome) (clue dialect.Clue) {
	for _, line := range lines.NameValues(o.Stdout) {
		switch {
		case !expositionName.MatchString(line.Name):
			clue = dialect.Clue{Strength: dialect.Fair, Why: fmt.Sprintf("it prints lines of a name and a value, and %q is no name for Prometheus", texts.Shorten(line.Name, 60))}
		case len(line.Time) == len("1500000000"):
			clue = dialect.Clue{Strength: dialect.Fair, Why: "it prints lines of a name, a value and a time in seconds"}
		case clue.Strength == 0:
			clue = dialect.Clue{Strength: dialect.Weak, Why: "it prints lines of a name and a value"}
		}
	}
	return clue
}
