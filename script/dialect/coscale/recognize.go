package coscale

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Recognition tells scripts that know -c and -d.
func (Dialect) Recognition() dialect.Recognition {
	return dialect.Recognition{
		Text:     textClue,
		Argument: "-c",
		Answer:   answerClue,
		IsOwn:    isOwn,
	}
}

// Both words of the protocol, as a script compares its argument with them, or
// one of them and the JSON that it prints for -c. A -c or -d of some command in
// the script is not that. Who knows -w too is a plugin, for which -w and -c are
// thresholds.
var (
	asksForConfig  = regexp.MustCompile(asksFor("c") + `|\bgetopts\s+['"]?:?(cd|dc)`)
	asksForData    = regexp.MustCompile(asksFor("d") + `|\bgetopts\s+['"]?:?(cd|dc)`)
	asksForWarning = regexp.MustCompile(asksFor("w"))
	declares       = regexp.MustCompile(`["'](metrics|events)\\?["']`)
)

// asksFor is how a script looks for an option: '-c', "-c", -c) of a case, = -c.
func asksFor(letter string) string {
	return strings.ReplaceAll(`['"]-X['"]|(?m:^|\bin|[;|(])\s*-X\s*(\|[^)\n]*)?\)|=\s*-X\b`, "X", letter)
}

func textClue(text []byte) dialect.Clue {
	switch config := asksForConfig.Match(text) && !asksForWarning.Match(text); {
	case config && asksForData.Match(text):
		return dialect.Clue{Strength: dialect.Fair, Why: "its text asks whether its argument is -c or -d"}
	case config && declares.Match(text):
		return dialect.Clue{Strength: dialect.Fair, Why: "its text asks whether its argument is -c, and declares metrics"}
	}
	return dialect.Clue{}
}

func answerClue(o *process.Outcome) dialect.Clue {
	var declared struct{ Metrics, Events []json.RawMessage }
	at := bytes.IndexByte(o.Stdout, '{')
	if at < 0 || json.NewDecoder(bytes.NewReader(o.Stdout[at:])).Decode(&declared) != nil {
		return dialect.Clue{}
	}
	switch {
	case declared.Metrics != nil:
		return dialect.Clue{Strength: dialect.Strong, Why: "-c printed JSON with metrics"}
	case declared.Events != nil:
		return dialect.Clue{Strength: dialect.Strong, Why: "-c printed JSON with events"}
	}
	return dialect.Clue{}
}

// isOwn reports whether out has a line of data or a declaration.
func isOwn(out []byte) bool {
	for line := range lines.Trimmed(out) {
		if isData(line) || bytes.HasPrefix(line, []byte("{")) {
			return true
		}
	}
	return false
}
