// Package relaxedjson reads JSON as the Scalyr agent does: with comments, missing
// commas, and texts in pieces.
package relaxedjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxRelaxedDepth bounds how deep lists and objects may stand in one another.
const maxRelaxedDepth = 200

// maxRelaxedEntries bounds those of one list or object, as in the configuration.
const maxRelaxedEntries = 10_000

// maxRelaxedNumber bounds the characters of a number, as the agent does: Python
// refuses to read one of some thousand digits.
const maxRelaxedNumber = 100

// Parse reads the JSON that the Scalyr agent takes: with comments, bare keys, commas that are one too many or, before a
// new line, missing, strings put together by + or in """, and numbers such as
// 007, 1. and -.5 alone. It gives what encoding/json would with UseNumber. As in the
// agent, the last of equal keys counts and a member that is null is left out.
// The error names the line.
func Parse(text []byte) (any, error) {
	p := &relaxed{text: string(text)}
	if !utf8.Valid(text) {
		return nil, errors.New("the text is not UTF-8")
	}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if err := p.blanks(); err != nil {
		return nil, err
	}
	if p.at < len(p.text) {
		return nil, p.fail("%s comes after the end", p.next())
	}
	return v, nil
}

// relaxed is a text being read, up to at.
type relaxed struct {
	text string
	at   int
}

func (p *relaxed) fail(format string, args ...any) error {
	before := p.text[:p.at]
	line := 1 + strings.Count(before, "\n") + strings.Count(before, "\r") - strings.Count(before, "\r\n")
	return fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))
}

// next names what comes next, for messages.
func (p *relaxed) next() string {
	if p.at >= len(p.text) {
		return "the end of the text"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return strconv.QuoteRune(r)
}

// peek gives the next byte; 0 at the end.
func (p *relaxed) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *relaxed) has(prefix string) bool { return strings.HasPrefix(p.text[p.at:], prefix) }

// lineEnds end a line, each by itself.
const lineEnds = "\r\n"

// blanks passes over blanks and comments.
func (p *relaxed) blanks() error {
	for p.at < len(p.text) {
		switch {
		case strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0:
			p.at++
		case p.has("//"):
			if n := strings.IndexAny(p.text[p.at:], lineEnds); n >= 0 {
				p.at += n
			} else {
				p.at = len(p.text)
			}
		case p.has("/*"):
			n := strings.Index(p.text[p.at+2:], "*/")
			if n < 0 {
				return p.fail("a /* comment does not end")
			}
			p.at += 2 + n + 2
		default:
			return nil
		}
	}
	return nil
}

func (p *relaxed) value(depth int) (any, error) {
	if err := p.blanks(); err != nil {
		return nil, err
	}
	switch c := p.peek(); {
	case depth > maxRelaxedDepth:
		return nil, p.fail("lists and objects are nested more than %d deep", maxRelaxedDepth)
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.list(depth)
	case c == '"':
		return p.strings()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	}
	switch word := p.word(); word {
	case "true", "false":
		return word == "true", nil
	case "null":
		return nil, nil
	case "":
		return nil, p.fail("a value is missing before %s", p.next())
	default:
		return nil, p.fail("%s is no value (write a text in double quotes)", word)
	}
}

// word passes over a bare word, as a key may be.
func (p *relaxed) word() string {
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (p.at == from || c < '0' || c > '9') {
			break
		}
		p.at++
	}
	return p.text[from:p.at]
}

// more passes over what stands between two elements and tells whether another
// one follows the first n before closing. A comma may be missing where the next element is
// the first thing of its line.
func (p *relaxed) more(n int, closing byte) (bool, error) {
	if err := p.blanks(); err != nil {
		return false, err
	}
	comma := false
	if n > 0 && p.peek() == ',' {
		comma = true
		p.at++
		if err := p.blanks(); err != nil {
			return false, err
		}
	}
	switch c := p.peek(); {
	case c == closing:
		p.at++
		return false, nil
	case p.at == len(p.text):
		return false, p.fail("the text ends before a %c", closing)
	case n == maxRelaxedEntries:
		return false, p.fail("a list or object has more than %d entries", n)
	case n == 0 || comma || p.opensLine():
		return true, nil
	}
	return false, p.fail("a comma is missing before %s", p.next())
}

// opensLine reports whether nothing but blanks stands before p.at in its line.
func (p *relaxed) opensLine() bool {
	before := strings.TrimRight(p.text[:p.at], " \t")
	return before != "" && strings.IndexByte(lineEnds, before[len(before)-1]) >= 0
}

func (p *relaxed) object(depth int) (any, error) {
	p.at++
	members := make(map[string]any)
	for n := 0; ; n++ {
		more, err := p.more(n, '}')
		if err != nil || !more {
			return members, err
		}
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		if err := p.blanks(); err != nil {
			return nil, err
		}
		if p.peek() != ':' {
			return nil, p.fail("a colon is missing behind the key %q", key)
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if members[key] = v; v == nil {
			delete(members, key)
		}
	}
}

func (p *relaxed) key() (string, error) {
	if p.peek() == '"' {
		return p.quoted()
	}
	if word := p.word(); word != "" {
		return word, nil
	}
	return "", p.fail("a key is missing before %s (write one with characters other than letters, digits and _ in double quotes)", p.next())
}

func (p *relaxed) list(depth int) (any, error) {
	p.at++
	items := []any{}
	for n := 0; ; n++ {
		more, err := p.more(n, ']')
		if err != nil || !more {
			return items, err
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
}

// strings reads one string, or several with + between them.
func (p *relaxed) strings() (any, error) {
	if p.has(triple) {
		return p.tripleQuoted()
	}
	var whole strings.Builder
	for {
		part, err := p.quoted()
		if err != nil {
			return nil, err
		}
		whole.WriteString(part)
		behind := p.at
		if err := p.blanks(); err != nil {
			return nil, err
		}
		if p.peek() != '+' {
			p.at = behind // what follows may need to know its line's beginning
			return whole.String(), nil
		}
		p.at++
		if err := p.blanks(); err != nil {
			return nil, err
		}
		if p.peek() != '"' {
			return nil, p.fail("a + is followed by %s, not by a text in double quotes", p.next())
		}
	}
}

const triple = `"""`

// tripleQuoted reads a text between """, of any lines. A quote stands for
// itself, a backslash does not.
func (p *relaxed) tripleQuoted() (string, error) {
	var b strings.Builder
	for p.at += len(triple); p.at < len(p.text); {
		switch c := p.text[p.at]; {
		case p.has(triple):
			p.at += len(triple)
			return b.String(), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", fmt.Errorf(`%w, in a """ text either (write \\ for a backslash)`, err)
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
			p.at++
		}
	}
	return "", p.fail(`a """ text does not end`)
}

// quoted reads a string in double quotes.
func (p *relaxed) quoted() (string, error) {
	var b strings.Builder
	for p.at++; p.at < len(p.text); {
		switch c := p.text[p.at]; c {
		case '"':
			p.at++
			return b.String(), nil
		case '\n', '\r':
			return "", p.fail(`a text continues after its line (write one of several lines between """)`)
		case '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
			p.at++
		}
	}
	return "", p.fail("a text in double quotes does not end")
}

// escape reads one escape, or the two of a surrogate pair.
func (p *relaxed) escape() (rune, error) {
	p.at++
	c := p.peek()
	if i := strings.IndexByte(`tnrbf"\/`, c); c != 0 && i >= 0 {
		p.at++
		return rune("\t\n\r\b\f\"\\/"[i]), nil
	}
	if c != 'u' {
		return 0, p.fail("%s cannot follow a backslash", p.next())
	}
	r, ok := p.hex()
	if !ok {
		return 0, p.fail(`\u takes four hexadecimal digits`)
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if behind := p.at; p.has(`\u`) {
		p.at++
		if second, ok := p.hex(); ok {
			if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
				return pair, nil
			}
		}
		p.at = behind
	}
	return utf8.RuneError, nil
}

// hex reads u and four digits.
func (p *relaxed) hex() (rune, bool) {
	if p.at+5 > len(p.text) {
		return 0, false
	}
	n, err := strconv.ParseUint(p.text[p.at+1:p.at+5], 16, 16)
	if err != nil {
		return 0, false
	}
	p.at += 5
	return rune(n), true
}

// number reads a number and spells it as JSON does.
func (p *relaxed) number() (any, error) {
	from := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
		p.at++
	}
	written := p.text[from:p.at]
	digits, negative := strings.CutPrefix(written, "-")
	if len(digits) > maxRelaxedNumber {
		return nil, p.fail("a number has more than %d characters", maxRelaxedNumber)
	}
	// Zeros in front of another digit go, a point alone gets digits.
	for len(digits) > 1 && digits[0] == '0' && '0' <= digits[1] && digits[1] <= '9' {
		digits = digits[1:]
	}
	if before, after, ok := strings.Cut(digits, "."); ok && before != "" && (after == "" || after[0] < '0' || after[0] > '9') {
		digits = before + ".0" + after
	} else if ok && before == "" {
		digits = "0." + after
	}
	if negative {
		digits = "-" + digits
	}
	if !json.Valid([]byte(digits)) {
		return nil, p.fail("%s is not a number", written)
	}
	return json.Number(digits), nil
}
