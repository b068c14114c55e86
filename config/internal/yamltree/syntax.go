package yamltree

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"
)

// syntaxError is what is wrong with a text that is no YAML, in our words. The
// parser's own tell which of its tokens it did not want.
type syntaxError struct {
	lines   []string // of the text
	message string   // the parser's
	token   *token.Token

	line, column    int // where it is, from 1; in runes
	problem, remedy string
	quoted          string // what remedy ends with: the line's own text
}

// newSyntaxError words an error of the parser. What it is not known how to word
// stays as the parser says it.
func newSyntaxError(lines []string, err error) *syntaxError {
	s := &syntaxError{lines: lines}
	// Its own text has a part of the file, made in time that grows with the square
	// of the tokens.
	if known, ok := errors.AsType[yaml.Error](err); ok {
		s.message, s.token = known.GetMessage(), known.GetToken()
	} else {
		s.message = err.Error()
	}
	s.problem = oneLine(s.message)
	if s.token == nil || s.token.Position == nil {
		return s
	}
	s.line, s.column = s.token.Position.Line, s.token.Position.Column
	for _, w := range syntaxWords {
		if w.message.MatchString(s.message) {
			w.word(s)
			break
		}
	}
	return s
}

// syntaxWords are the parser's messages and what they come to. The first one
// that matches counts.
var syntaxWords = []struct {
	message *regexp.Regexp
	word    func(s *syntaxError)
}{
	{regexp.MustCompile(`(?i)\btab character|^found character '\t'`), (*syntaxError).tab},
	{regexp.MustCompile(`^value is not allowed in this context|^mapping value is not allowed`), (*syntaxError).misplaced},
	{regexp.MustCompile(`^could not find end character of`), (*syntaxError).openQuote},
	{regexp.MustCompile(`escape|surrogate|UTF-(16|32) character`), (*syntaxError).escape},
	{regexp.MustCompile(`must be specified$|end token|^could not find '|^could not find flow map|^could not find map`), (*syntaxError).bracket},
	{regexp.MustCompile(`anchor|alias`), (*syntaxError).reference},
	{regexp.MustCompile(`is a reserved character$`), (*syntaxError).reservedCharacter},
	{regexp.MustCompile(`directive|YAML version`), (*syntaxError).directive},
	{regexp.MustCompile(`^invalid header option|multi-line|^invalid number of indent`), (*syntaxError).block},
	{regexp.MustCompile(`^unexpected key name|^non-map value|^unexpected map key|^expected map key|^could not find value|^undefined map key|line break$`), (*syntaxError).noColon},
	{regexp.MustCompile(`^block sequence entries are not allowed|^sequence entries are not allowed`), fixed("a list starts on the line of its key", "start it on a new line, or write it in brackets, as in key: [a, b]")},
	{regexp.MustCompile(`^found an invalid key`), fixed("a list or a map cannot be a key", "remove the second colon, or put what is before it in quotes")},
	{regexp.MustCompile(`^expected sequence element|^unexpected scalar value`), (*syntaxError).nothing},
	{regexp.MustCompile(`document separator`), fixed("text follows --- on the same line", "start it on the next line")},
	{regexp.MustCompile(`\btag\b`), fixed("a tag, which starts with !, is not allowed here", "remove it, or put the value in quotes if the ! is part of it")},
}

func fixed(problem, remedy string) func(*syntaxError) {
	return func(s *syntaxError) { s.problem, s.remedy = problem, remedy }
}

func (s *syntaxError) say(remedy, format string, args ...any) {
	s.problem, s.remedy = fmt.Sprintf(format, args...), remedy
}

// sayQuoting is say with a remedy that ends with text of the file.
func (s *syntaxError) sayQuoting(quoted, remedy, format string, args ...any) {
	s.say(remedy, format, args...)
	s.quoted = quoted
}

// text is a line, empty where there is none of that number.
func (s *syntaxError) text(line int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	return s.lines[line-1]
}

// before is what stands in front of the place in its line.
func (s *syntaxError) before() string {
	runes := []rune(s.text(s.line))
	return string(runes[:min(max(s.column-1, 0), len(runes))])
}

// at puts the place to a byte of its line.
func (s *syntaxError) at(line, offset int) {
	s.line, s.column = line, utf8.RuneCountInString(s.text(line)[:offset])+1
}

func (s *syntaxError) tab() {
	if i := strings.IndexByte(s.text(s.line), '\t'); i >= 0 {
		s.at(s.line, i)
	}
	s.say("use spaces instead", "a tab is used where only spaces are allowed")
}

// misplaced is a value or a key where the indentation wants none, or where
// something stands already.
func (s *syntaxError) misplaced() {
	origin := strings.TrimLeft(s.token.Origin, " \t\r\n")
	if n := strings.Count(strings.TrimRight(origin, " \t\r\n"), "\n"); n > 0 {
		// What looks like a value of several lines is a value and a key
		// beneath it that is indented too far.
		s.line += n
		s.indentation()
		return
	}
	if strings.HasPrefix(s.message, "mapping value") {
		line := s.text(s.line)
		from := len(s.before())
		if i := colonInValue.FindStringIndex(line[from:]); i != nil {
			s.at(s.line, from+i[0])
		}
		s.sayQuoting(s.quotedValue(), "put the value in quotes", "a value that is not in quotes contains a colon and a space")
		return
	}
	switch before := strings.TrimRight(s.before(), " \t"); {
	case strings.TrimLeft(before, " \t-") == "":
		s.indentation()
	case strings.HasSuffix(before, `"`), strings.HasSuffix(before, `'`):
		s.sayQuoting(s.quotedValue(), "put the whole value in quotes of the other kind", "text follows the closing quote")
	default:
		s.say("start a new line, or put the whole value in quotes", "something follows a complete value")
	}
}

var colonInValue = regexp.MustCompile(`:([ \t]|$)`)

// indentation is a line that begins in a column of its own. The nearest column
// of what stands above and is not closed by then is where it may belong: of a
// key for a key, of a dash for a dash.
func (s *syntaxError) indentation() {
	line := s.text(s.line)
	own := indentOf(line)
	s.at(s.line, own)
	dash := strings.HasPrefix(line[own:], "-")
	best, bestLine := -1, 0
	limit := len(line) + 1000
	for n := s.line - 1; n > 0 && limit > 0; n-- {
		dashes, key := columnsOf(s.text(n))
		candidates := []int{key}
		if dash {
			candidates = dashes
		}
		for _, column := range candidates {
			if 0 <= column && column < limit && column != own && (best < 0 || abs(column-own) < abs(best-own)) {
				best, bestLine = column, n
			}
		}
		if key >= 0 {
			limit = min(limit, indentOf(s.text(n)))
		}
	}
	remedy := "start it in the same column as the lines that it belongs with"
	if best >= 0 {
		remedy = fmt.Sprintf("start it in column %d, like line %d, if it belongs there", best+1, bestLine)
	}
	s.say(remedy, "the indentation matches no line above")
}

func abs(n int) int { return max(n, -n) }

var keyStart = regexp.MustCompile(`^( *)((?:- +)*)`)

// columnsOf are the columns, from 0, in which what a line holds begins: the
// dashes of a list, and what is behind them, -1 for an empty line or a comment.
func columnsOf(line string) (dashes []int, key int) {
	if rest := line[indentOf(line):]; rest == "" || rest[0] == '#' {
		return nil, -1
	}
	m := keyStart.FindStringSubmatchIndex(line)
	for i := m[4]; i < m[5]; i++ {
		if line[i] == '-' {
			dashes = append(dashes, i)
		}
	}
	return dashes, m[1]
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// quotedValue shows the value of the line in quotes, where it is short and no
// secret; empty otherwise.
func (s *syntaxError) quotedValue() string {
	line := s.text(s.line)
	m := lineKey.FindStringSubmatchIndex(line)
	if m == nil || hideSecrets(s.lines, s.line) != line {
		return ""
	}
	value := strings.TrimSpace(line[m[1]:])
	switch {
	case value == "" || len(value) > 80 || strings.Contains(value, " #") || strings.ContainsAny(value[:1], "[{"),
		strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return ""
	case !strings.Contains(value, "'"):
		return ": " + line[m[2]:m[3]] + ": '" + value + "'"
	case !strings.ContainsAny(value, `"\`):
		return ": " + line[m[2]:m[3]] + `: "` + value + `"`
	}
	return ""
}

// lineKey is the key that a line begins with.
var lineKey = regexp.MustCompile(`^[ \t]*(?:- +)*(?:\{ *)?([A-Za-z0-9_.-]+):(?:[ \t]+|$)`)

// thing is the key that the line begins with; empty for none.
func (s *syntaxError) thing() string {
	if m := lineKey.FindStringSubmatch(s.text(s.line)); m != nil {
		return m[1]
	}
	return ""
}

func (s *syntaxError) openQuote() {
	quote := `"`
	if strings.Contains(s.message, "single") {
		quote = "'"
	}
	s.say("close it with another "+quote+", or put the value in quotes of the other kind if the "+quote+" is part of it", "the quote %s is not closed", quote)
}

func (s *syntaxError) escape() {
	runes := []rune(s.text(s.line))
	// The token's place is its quote, or the character behind the backslash.
	for i := min(s.column-1, len(runes)-1); i >= 0; i-- {
		if runes[i] == '\\' {
			s.column = i + 1
			break
		}
	}
	s.say(`write \\ for a backslash, or use single quotes, in which it is an ordinary character`, `a backslash in double quotes starts a code that YAML does not know`)
}

// bracket is one of a pair that has no other, or a comma that is missing.
func (s *syntaxError) bracket() {
	closing := map[rune]string{'{': "}", '[': "]"}
	line, column := s.line, s.column
	if strings.HasPrefix(s.message, "could not find '") {
		s.say("remove it, or put the value in quotes if it is part of it", "the %s closes nothing", s.token.Value)
		return
	}
	open, openLine, openColumn := s.innermost(line, column)
	variable := strings.Index(s.text(line), "${")
	switch {
	case variable >= 0 && open == '{':
		s.at(line, variable)
		s.say("put the whole value in quotes", "a value within brackets has a { in it, which begins a map there")
	case open == 0:
		s.say("close each { with } and each [ with ]", "a bracket is not closed")
	case !strings.HasSuffix(s.message, "must be specified") || openLine < line:
		s.line, s.column = openLine, openColumn
		s.say("close it with "+closing[open], "the %c is not closed", open)
	default:
		s.say(fmt.Sprintf("write a comma before it, or close the %c with %s", open, closing[open]), "a comma is missing")
	}
}

// innermost is the last bracket in front of a place, or at it, that is still
// open there.
func (s *syntaxError) innermost(toLine, toColumn int) (bracket rune, line, column int) {
	type place struct {
		bracket      rune
		line, column int
	}
	var open []place
	quote := rune(0)
lines:
	for n := 1; n <= min(toLine, len(s.lines)); n++ {
		previous := ' '
		for i, r := range []rune(s.lines[n-1]) {
			if n == toLine && i+1 > toColumn {
				break
			}
			switch {
			case quote != 0:
				if r == quote && !(quote == '"' && previous == '\\') {
					quote = 0
				}
			case r == '#' && (previous == ' ' || previous == '\t'): // a comment
				continue lines
			case (r == '"' || r == '\'') && strings.ContainsRune(" \t[{,:-", previous):
				quote = r
			case (r == '{' || r == '[') && (len(open) > 0 || strings.ContainsRune(" \t", previous)):
				open = append(open, place{r, n, i + 1})
			case (r == '}' || r == ']') && len(open) > 0:
				open = open[:len(open)-1]
			}
			previous = r
		}
	}
	if len(open) == 0 {
		return 0, 0, 0
	}
	last := open[len(open)-1]
	return last.bracket, last.line, last.column
}

func (s *syntaxError) reference() {
	sign, what := "&", "an anchor"
	if s.token.Value == "*" || strings.Contains(s.message, "alias") {
		sign, what = "*", "an alias"
	}
	s.say("put the value in quotes if the "+sign+" is part of it", "%s starts %s, but no valid name follows", sign, what)
}

func (s *syntaxError) reservedCharacter() {
	s.sayQuoting(s.quotedValue(), "put the value in quotes", "a value cannot start with %s", strings.TrimSpace(s.token.Value))
}

func (s *syntaxError) directive() {
	if strings.TrimSpace(s.before()) == "" {
		s.say("remove the line", "a line that starts with %% is a directive, which is not supported")
		return
	}
	if strings.HasPrefix(strings.TrimSpace(s.text(s.line)), "%") {
		s.say("remove the line", "the directive is not valid")
		return
	}
	s.sayQuoting(s.quotedValue(), "put the value in quotes", "a value cannot start with %%")
}

// block is a text of several lines whose beginning is odd.
func (s *syntaxError) block() {
	sign := "|"
	if strings.HasPrefix(strings.TrimSpace(s.token.Value), ">") {
		sign = ">"
	}
	if strings.HasPrefix(s.message, "invalid header option") {
		s.sayQuoting(s.quotedValue(), "put the value in quotes if the "+sign+" is part of it", "%s starts a text of several lines, but more follows on the same line", sign)
		return
	}
	s.say("indent all its lines by the same number of spaces, and write no number after the | or >", "the lines of a text are not indented as its first line says")
}

// noColon is a key without its colon, or something that is no key.
func (s *syntaxError) noColon() {
	line := s.text(s.line)
	rest := strings.TrimLeft(strings.TrimLeft(line, " "), "- ")
	switch word, _, _ := strings.Cut(rest, " "); {
	case strings.HasPrefix(rest, ":"):
		s.say("write one, as in key: value", "there is no key before the colon")
	case strings.HasPrefix(strings.TrimLeft(line, " "), "-") && strings.HasPrefix(s.message, "non-map"):
		s.say("indent it by two more spaces if it belongs to the key above it", "a list item is among keys")
	case gluedKey.MatchString(word) && hideSecrets(s.lines, s.line) == line:
		name, value, _ := strings.Cut(strings.TrimSpace(rest), ":")
		s.sayQuoting(": "+name+": "+value, "write one", "there is no space after the colon")
	default:
		s.say("write it like key: value", "a key is not followed by a colon and a space")
	}
}

var gluedKey = regexp.MustCompile(`^[A-Za-z0-9_.-]+:[^ ]+$`)

// nothing is a comma or a sign with nothing where something should be.
func (s *syntaxError) nothing() {
	switch s.token.Value {
	case ",":
		s.say("remove it", "there is nothing before the comma")
	case "&", "*":
		s.reference()
	default:
		what := "this"
		if !strings.ContainsFunc(s.token.Value, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) { // a sign of YAML's
			what = s.token.Value
		}
		s.say("put the value in quotes if it is part of it", "%s is not allowed here", what)
	}
}
