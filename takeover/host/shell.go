package host

import (
	"strings"
)

// Words splits a command line as a shell does. plain is false where only a shell
// can tell what the line means: there are several commands in it, a redirection,
// a variable, a pattern or the like.
func Words(line string) (words []string, plain bool) {
	w := splitter{plain: true}
	for i := 0; i < len(line); i++ {
		i = w.next(line, i)
	}
	if w.quote != 0 {
		return nil, false
	}
	w.end()
	return w.words, w.plain && len(w.words) > 0
}

// splitter is a line being split.
type splitter struct {
	words  []string
	word   strings.Builder
	inWord bool
	quote  byte // that is open
	plain  bool
}

// next takes the character at i, and gives the index of the last one taken.
func (w *splitter) next(line string, i int) int {
	c := line[i]
	escaped := c == '\\' && w.quote != '\'' && i+1 < len(line)
	switch {
	case escaped && w.quote == '"' && !strings.ContainsRune("$`\"\\\n", rune(line[i+1])):
		w.add(c)
	case escaped:
		if line[i+1] != '\n' {
			w.add(line[i+1])
		}
		return i + 1
	case c == w.quote:
		w.quote = 0
	case w.quote != 0:
		w.plain = w.plain && (w.quote == '\'' || c != '$' && c != '`')
		w.add(c)
	case c == '\'' || c == '"':
		w.quote, w.inWord = c, true
	case strings.IndexByte(" \t\r\n", c) >= 0:
		w.end()
	default:
		special := strings.IndexByte("|&;<>()$`*?[", c) >= 0 || !w.inWord && strings.IndexByte("~#", c) >= 0
		// An assignment before the command's name.
		special = special || c == '=' && len(w.words) == 0 && isName(w.word.String())
		w.plain = w.plain && !special
		w.add(c)
	}
	return i
}

func (w *splitter) add(c byte) {
	w.word.WriteByte(c)
	w.inWord = true
}

func (w *splitter) end() {
	if w.inWord {
		w.words = append(w.words, w.word.String())
		w.word.Reset()
		w.inWord = false
	}
}

// isName reports whether a text can be the name of a variable.
func isName(text string) bool {
	return text != "" && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && (text[0] < '0' || text[0] > '9')
}

// Part is one command of a line, with what stands between it and the next one.
type Part struct {
	Text     string
	Operator string // "&&", "||", ";", "|", "&" or ""
}

// Parts cuts a line for a shell at its operators, as far as they stand outside of
// quotes, of $( ) and of ( ) and { }.
func Parts(line string) (parts []Part) {
	from, depth := 0, 0
	var q quoting
	cut := func(i int, operator string) {
		parts = append(parts, Part{strings.TrimSpace(line[from:i]), operator})
		from = i + len(operator)
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case !q.outside(c):
		case c == '(' || c == '{':
			depth++
		case c == ')' || c == '}':
			depth--
		case depth > 0:
		case strings.HasPrefix(line[i:], "&&") || strings.HasPrefix(line[i:], "||"):
			cut(i, line[i:i+2])
			i++
		case c == '&' && (i > 0 && (line[i-1] == '>' || line[i-1] == '<') || i+1 < len(line) && line[i+1] == '>'):
		case c == ';' || c == '|' || c == '&':
			cut(i, line[i:i+1])
		}
	}
	if rest := strings.TrimSpace(line[min(from, len(line)):]); rest != "" || len(parts) == 0 {
		parts = append(parts, Part{Text: rest})
	}
	return parts
}

// Quoted reports whether what stands at an index of a line is in quotes.
func Quoted(line string, at int) bool {
	var q quoting
	for i := 0; i < at && i < len(line); i++ {
		q.outside(line[i])
	}
	return q.quote != 0
}

// quoting follows the quotes of a line for a shell.
type quoting struct {
	quote   byte // in which the line is; 0 for none
	escaped bool // is the next byte
}

// outside takes the next byte of the line, and says whether it stands outside of
// quotes and is neither one itself nor escaped.
func (q *quoting) outside(c byte) bool {
	switch {
	case q.escaped:
		q.escaped = false
	case c == '\\' && q.quote != '\'':
		q.escaped = true
	case q.quote != 0:
		if c == q.quote {
			q.quote = 0
		}
	case c == '\'' || c == '"' || c == '`':
		q.quote = c
	default:
		return true
	}
	return false
}
