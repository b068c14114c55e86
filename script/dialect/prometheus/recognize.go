package prometheus

import (
	"bytes"
	"fmt"
	"regexp"

	"scriptbridge/internal/texts"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Recognition tells scripts that print an exposition.
func (Dialect) Recognition() dialect.Recognition {
	return dialect.Recognition{Text: textClue, Output: outputClue, IsCertain: isCertain}
}

var (
	printedType   = regexp.MustCompile(`# TYPE \S+ (counter|gauge|histogram|summary|untyped|unknown|info|stateset)\b`)
	clientLibrary = regexp.MustCompile(`(?m)^\s*(from|import) prometheus_client\b|^\s*require ['"]prometheus/client`)
	commentForm   = regexp.MustCompile(`^# (TYPE|HELP|UNIT) [a-zA-Z_:][a-zA-Z0-9_:]*( |$)|^# EOF$`)
	labelledForm  = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*\{.*\} [-+0-9.]*([eE][-+]?\d+|\d|Inf|NaN)( |$)`)
	nameForm      = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	unitForm      = regexp.MustCompile(`_(total|seconds|bytes|ratio|celsius|count|sum|bucket|info|up)$`)
)

func textClue(text []byte) dialect.Clue {
	switch {
	case printedType.Match(text): // exposition that is printed
		return dialect.Clue{Strength: dialect.Strong, Why: "its text has a # TYPE line of Prometheus"}
	case clientLibrary.Match(text):
		return dialect.Clue{Strength: dialect.Strong, Why: "its text uses a library of Prometheus"}
	}
	return dialect.Clue{}
}

// outputClue looks for comments and labels, which nothing else has, for names with
// one of Prometheus's units at their end, and for lines that may be Instrumental's
// as well.
func outputClue(o *process.Outcome) (clue dialect.Clue) {
	if isCertain(o.Stdout) {
		return dialect.Clue{Strength: dialect.Certain, Why: "it prints Prometheus's text format"}
	}
	for _, line := range lines.NameValues(o.Stdout) {
		switch named := nameForm.MatchString(line.Name); {
		case named && unitForm.MatchString(line.Name):
			clue = dialect.Clue{Strength: dialect.Faint, Why: fmt.Sprintf("it prints lines of a name and a value, and %s is a name of Prometheus's kind", texts.Shorten(line.Name, 60))}
		case named && clue.Strength == 0:
			clue = dialect.Clue{Strength: dialect.Weak, Why: "it prints lines of a name and a value"}
		}
	}
	return clue
}

// isCertain reports whether there is a comment or a sample with labels. Most outputs
// of others have neither character, and of most lines the first ones tell.
func isCertain(out []byte) bool {
	if bytes.IndexByte(out, '#') < 0 && bytes.IndexByte(out, '{') < 0 {
		return false
	}
	for line := range bytes.FieldsFuncSeq(out, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line[0] == '#' && commentForm.Match(line) || bytes.IndexByte(line, '{') > 0 && labelledForm.Match(line) {
			return true
		}
	}
	return false
}
