package yamltree

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/token"
)

// What web pages, word processors, merges and templates leave in a file. YAML
// takes most of it for text, and what it says of the rest leads nowhere.

var (
	// conflict is what git puts between the sides of a merge that it could not make.
	conflict = regexp.MustCompile(`^(<<<<<<<|>>>>>>>)( |$)`)
	// template is a value that begins with what Ansible, Helm and the like fill in.
	template = regexp.MustCompile(`^(?:[ \t]*(?:- +)*(?:[A-Za-z0-9_.-]+:[ \t]+)?)(\{\{|\{%)`)
	// section begins a file of other tools, INI or TOML, and what it has goes on.
	section = regexp.MustCompile(`^\[[A-Za-z0-9_. -]+\]$`)
	setting = regexp.MustCompile(`^[ \t]*[A-Za-z0-9_.-]+[ \t]*=`)
	// glued is a key whose colon is followed by something that only looks like a space.
	glued = regexp.MustCompile(`(?:^|[ \n])[A-Za-z0-9_.-]+:$`)
)

// foreign finds, in a text that is no YAML, the first line that is of something
// else; nil for none.
func foreign(lines []string) *Error {
	first := true // nothing has been said yet
	for n, line := range lines {
		text := strings.TrimSpace(line)
		at := func(column int, problem, remedy string) *Error {
			return &Error{Position: Position{Line: n + 1}, Column: column, Problem: problem, Remedy: remedy}
		}
		switch m := template.FindStringSubmatchIndex(line); {
		case conflict.MatchString(line):
			return at(1, "git could not merge this part of the file", "keep what is right of both sides, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>")
		case m != nil:
			return at(m[2]+1, "a template has not been filled in", "have the tool that the file is written for fill it in, or put the value in quotes if the braces are part of it")
		case first && section.MatchString(text) && slices.ContainsFunc(lines[n+1:], setting.MatchString):
			return at(1, "this is how a file of INI or TOML begins, and not one of YAML", "begin it with a key and a colon, such as scripts:")
		}
		first = first && (text == "" || text[0] == '#' || text == "---")
	}
	return nil
}

// located gives an error its file and its excerpt.
func (e *Error) located(file string, lines []string) *Error {
	e.File, e.Excerpt = file, excerpt(lines, e.Line, e.Column)
	return e
}

// OddSpace is something that looks like a space, or like nothing, and is neither
// to YAML.
func OddSpace(r rune) bool {
	return r != ' ' && unicode.Is(unicode.Zs, r) || slices.Contains([]rune{'\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad'}, r)
}

// oddSpaces finds the first such thing that stands where it can hardly be meant:
// in a key, at an end of a value that is not in quotes, or behind a dash or the
// colon of what was to be a key. Elsewhere in a value it is text like any other.
func oddSpaces(all token.Tokens, lines []string) *Error {
	for i, t := range all {
		if t.Type != token.StringType || i > 0 && (all[i-1].Type == token.LiteralType || all[i-1].Type == token.FoldedType) {
			continue
		}
		key := i+1 < len(all) && all[i+1].Type == token.MappingValueType
		at := strings.IndexFunc(t.Value, OddSpace)
		if at < 0 || !key && !misread(t.Value) {
			continue
		}
		r := []rune(t.Value[at:])[0]
		line, column := find(lines, t.Position.Line, r)
		what, instead := "a character that cannot be seen", "remove it"
		if unicode.Is(unicode.Zs, r) {
			what, instead = "a space of another kind", "write an ordinary space in its place"
		}
		if r == '\u00a0' {
			what = "a non-breaking space"
		}
		return &Error{
			Position: Position{Line: line}, Column: column, Problem: fmt.Sprintf("%s (U+%04X) is part of a key or a value", what, r),
			Remedy: instead + ", or put all of that in quotes if it is meant",
		}
	}
	return nil
}

// misread says that something like a space in a value is not meant as text.
func misread(value string) bool {
	if strings.TrimFunc(value, OddSpace) != value {
		return true
	}
	for i, r := range value {
		if before := value[:i]; OddSpace(r) && (before == "-" || glued.MatchString(before)) {
			return true
		}
	}
	return false
}

// find is where a character stands first at or behind a line.
func find(lines []string, from int, r rune) (line, column int) {
	for n := max(from, 1); n <= len(lines); n++ {
		if i := slices.Index([]rune(lines[n-1]), r); i >= 0 {
			return n, i + 1
		}
	}
	return from, 0
}

// Curly are quotes of printed text, which enclose nothing in YAML.
const Curly = "“”„‟‘’‚‛«»"

// enclosed says by which curly quotes all of a text is enclosed; empty for none.
func enclosed(text string) string {
	runes := []rune(text)
	if last := len(runes) - 1; last > 0 && strings.ContainsRune(Curly, runes[0]) && strings.ContainsRune(Curly, runes[last]) {
		return string([]rune{runes[0], runes[last]})
	}
	return ""
}

// Explain gives a problem with a value the remedy for the quotes that it is
// enclosed by, where those are what is wrong.
func (v *Value) Explain(p *Problem) *Problem {
	if quotes := enclosed(v.Text); p != nil && v.Kind == Scalar && quotes != "" {
		p.Remedy = quotesRemedy
	}
	return p
}

const quotesRemedy = `write " in the place of the curly quotes, which are part of the text to YAML`
