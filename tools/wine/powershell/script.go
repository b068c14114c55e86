package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a string, a number or a truth, as it is printed.
type value string

func (v value) true() bool { return v != "" && v != "False" && v != "0" }

func truth(b bool) value {
	if b {
		return "True"
	}
	return "False"
}

// script is a script that runs: its tokens, and what it has come to know.
type script struct {
	path      string
	args      []string
	out, errs io.Writer
	vars      map[string]value // by name in lower case

	tokens []token
	at     int
}

type token struct {
	kind string // word, string, text, raw (a string without variables), var, number, end (of a statement), or the sign itself
	text string
	line int
}

var lexemes = []struct {
	kind string
	re   *regexp.Regexp
}{
	{"raw", regexp.MustCompile(`^@'[ \t]*\r?\n((?s:.*?))\r?\n'@`)},
	{"text", regexp.MustCompile(`^@"[ \t]*\r?\n((?s:.*?))\r?\n"@`)},
	{"comment", regexp.MustCompile(`^(?:<#(?s:.*?)#>|#[^\n]*)`)},
	{"end", regexp.MustCompile(`^(?:\r?\n|;)`)},
	{"blank", regexp.MustCompile("^(?:[ \\t\\r]+|`\\r?\\n)")},
	{"raw", regexp.MustCompile(`^'((?:[^']|'')*)'`)},
	{"string", regexp.MustCompile("^\"((?:[^\"`]|\"\"|`.)*)\"")},
	{"var", regexp.MustCompile(`^\$((?:env:)?\w+)`)},
	{"number", regexp.MustCompile(`^(-?\d+(?:\.\d+)?)`)},
	{"word", regexp.MustCompile(`^(\[Console\]::Error\.WriteLine|\[switch\]|\[string\]|-?[A-Za-z][A-Za-z-]*)`)},
	{"", regexp.MustCompile(`^([(){}\[\]=+,.])`)},
}

// lex splits a script's text.
func (s *script) lex(text string) error {
	line := 1
next:
	for text != "" {
		for _, l := range lexemes {
			m := l.re.FindStringSubmatch(text)
			if m == nil {
				continue
			}
			if l.kind != "comment" && l.kind != "blank" {
				t := token{l.kind, m[len(m)-1], line}
				if t.kind == "" {
					t.kind = t.text
				}
				s.tokens = append(s.tokens, t)
			}
			line += strings.Count(m[0], "\n")
			text = text[len(m[0]):]
			continue next
		}
		return fmt.Errorf("%s:%d: %.20q is not known here", s.path, line, text)
	}
	s.tokens = append(s.tokens, token{"end", "", line}, token{"", "", line})
	return nil
}

// run runs a script's text.
func (s *script) run(text string) error {
	if err := s.lex(text); err != nil {
		return err
	}
	for s.peek().kind != "" {
		if err := s.statement(true); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) peek() token { return s.tokens[s.at] }

func (s *script) next() token {
	t := s.tokens[s.at]
	if t.kind != "" {
		s.at++
	}
	return t
}

// accept takes the next token if it is of the kind, and for a word the text.
func (s *script) accept(kind, text string) bool {
	t := s.peek()
	if t.kind != kind || text != "" && !strings.EqualFold(t.text, text) {
		return false
	}
	s.at++
	return true
}

func (s *script) expect(kind string) error {
	if !s.accept(kind, "") {
		return s.unknown(fmt.Sprintf("without %q before it", kind))
	}
	return nil
}

func (s *script) unknown(why string) error {
	t := s.peek()
	return fmt.Errorf("%s:%d: %q is not known here%s", s.path, t.line, t.text, strings.TrimRight(" "+why, " "))
}

// statement reads a statement, and does what it says if it is its turn.
func (s *script) statement(do bool) error {
	t := s.peek()
	switch {
	case t.kind == "end":
		s.next()
		return nil
	case t.kind == "var" && s.tokens[s.at+1].kind == "=":
		s.at += 2
		v, err := s.expression()
		if err == nil && do {
			s.vars[strings.ToLower(t.text)] = v
		}
		return err
	case t.kind != "word":
		v, err := s.expression()
		if err == nil && do {
			fmt.Fprint(s.out, lines(v))
		}
		return err
	}
	s.next()
	switch name := strings.ToLower(t.text); name {
	case "param":
		return s.params()
	case "if":
		return s.choose(do)
	case "exit":
		return s.exit(do)
	case "write-output", "write-host", "start-sleep", "[console]::error.writeline":
		return s.command(name, do)
	}
	s.at--
	return s.unknown("")
}

// lines ends a text as Write-Output does.
func lines(v value) string {
	return strings.ReplaceAll(strings.ReplaceAll(string(v), "\r\n", "\n"), "\n", "\r\n") + "\r\n"
}

func (s *script) command(name string, do bool) error {
	if s.accept("word", "-seconds") && name != "start-sleep" {
		s.at--
		return s.unknown("")
	}
	v, err := s.expression()
	if err != nil || !do {
		return err
	}
	switch name {
	case "start-sleep":
		seconds, err := strconv.Atoi(string(v))
		time.Sleep(time.Duration(seconds) * time.Second)
		return err
	case "[console]::error.writeline":
		_, err = fmt.Fprint(s.errs, lines(v))
	default:
		_, err = fmt.Fprint(s.out, lines(v))
	}
	return err
}

func (s *script) exit(do bool) error {
	code := 0
	if s.peek().kind == "number" {
		code, _ = strconv.Atoi(s.next().text)
	}
	if !do {
		return nil
	}
	return exitCode(code)
}

// params reads param(…) and gives the switches and strings in it what the command line
// has for them: -NAME, or -NAME VALUE.
func (s *script) params() error {
	if err := s.expect("("); err != nil {
		return err
	}
	rest := s.args
	for !s.accept(")", "") {
		isSwitch := s.accept("word", "[switch]")
		_ = !isSwitch && s.accept("word", "[string]")
		t := s.next()
		if t.kind == "end" || t.kind == "," {
			continue
		}
		if t.kind != "var" {
			s.at--
			return s.unknown("in param")
		}
		at := slices.IndexFunc(rest, func(a string) bool { return strings.EqualFold(a, "-"+t.text) })
		switch {
		case isSwitch:
			s.vars[strings.ToLower(t.text)] = truth(at >= 0)
			if at >= 0 {
				rest = slices.Delete(slices.Clone(rest), at, at+1)
			}
		case at >= 0 && at+1 < len(rest):
			s.vars[strings.ToLower(t.text)] = value(rest[at+1])
			rest = slices.Delete(slices.Clone(rest), at, at+2)
		case at < 0 && len(rest) > 0 && !strings.HasPrefix(rest[0], "-"):
			s.vars[strings.ToLower(t.text)] = value(rest[0])
			rest = rest[1:]
		default:
			s.vars[strings.ToLower(t.text)] = ""
		}
	}
	s.args = rest
	return nil
}

// choose reads if, elseif and else.
func (s *script) choose(do bool) error {
	done := false
	for {
		if err := s.expect("("); err != nil {
			return err
		}
		v, err := s.expression()
		if err != nil {
			return err
		}
		if err := s.expect(")"); err != nil {
			return err
		}
		if err := s.block(do && !done && v.true()); err != nil {
			return err
		}
		done = done || v.true()
		mark := s.at
		for s.accept("end", "") {
		}
		switch {
		case s.accept("word", "elseif"):
		case s.accept("word", "else"):
			return s.block(do && !done)
		default:
			s.at = mark
			return nil
		}
	}
}

func (s *script) block(do bool) error {
	for s.accept("end", "") {
	}
	if err := s.expect("{"); err != nil {
		return err
	}
	for !s.accept("}", "") {
		if s.peek().kind == "" {
			return s.unknown("at the end: a block is not closed")
		}
		if err := s.statement(do); err != nil {
			return err
		}
	}
	return nil
}

// expression reads terms with -eq, -ne and + between them.
func (s *script) expression() (value, error) {
	left, err := s.term()
	for err == nil {
		var right value
		switch {
		case s.accept("word", "-eq"):
			right, err = s.term()
			left = truth(strings.EqualFold(string(left), string(right)))
		case s.accept("word", "-ne"):
			right, err = s.term()
			left = truth(!strings.EqualFold(string(left), string(right)))
		case s.accept("+", ""):
			right, err = s.term()
			left += right
		default:
			return left, nil
		}
	}
	return "", err
}

func (s *script) term() (value, error) {
	switch t := s.next(); t.kind {
	case "raw":
		return value(strings.ReplaceAll(t.text, "''", "'")), nil
	case "text": // in which two quotes are two
		return s.interpolate(strings.ReplaceAll(t.text, `""`, `""""`)), nil
	case "string":
		return s.interpolate(t.text), nil
	case "number":
		return value(t.text), nil
	case "var":
		return s.variable(t.text)
	case "(":
		v, err := s.expression()
		if err != nil {
			return "", err
		}
		return v, s.expect(")")
	}
	s.at--
	return "", s.unknown("as a value")
}

var inString = regexp.MustCompile("`.|\"\"|\\$(?:env:)?\\w+")

// interpolate puts variables into a string of double quotes.
func (s *script) interpolate(text string) value {
	return value(inString.ReplaceAllStringFunc(text, func(m string) string {
		switch {
		case m == `""`:
			return `"`
		case m[0] == '$':
			return string(s.get(m[1:]))
		}
		switch m[1] {
		case 'n':
			return "\n"
		case 't':
			return "\t"
		}
		return m[1:]
	}))
}

func (s *script) get(name string) value {
	name = strings.ToLower(name)
	if env, ok := strings.CutPrefix(name, "env:"); ok {
		return value(os.Getenv(env))
	}
	if name == "args" {
		return value(strings.Join(s.args, " "))
	}
	return s.vars[name]
}

// variable reads what follows $NAME: for args an index, or its Count.
func (s *script) variable(name string) (value, error) {
	switch {
	case strings.EqualFold(name, "args") && s.accept("[", ""):
		n, err := strconv.Atoi(s.next().text)
		if err != nil {
			s.at--
			return "", s.unknown("as an index")
		}
		if n < 0 || n >= len(s.args) {
			return "", s.expect("]")
		}
		return value(s.args[n]), s.expect("]")
	case strings.EqualFold(name, "args") && s.accept(".", ""):
		if !s.accept("word", "count") {
			return "", s.unknown("of $args")
		}
		return value(strconv.Itoa(len(s.args))), nil
	}
	return s.get(name), nil
}
