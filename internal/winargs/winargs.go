// Package winargs has what Windows takes for a command: how a command line is
// split into words (split.go) and made of words again, which differs for batch
// files (compose.go), where a program is found (find.go), what runs a file that
// is no program itself (start.go), and what a path means (path.go).
//
// All of it is text alone, the same on every system.
package winargs

import (
	"errors"
	"strings"
)

// blanks separate words.
const blanks = " \t\r\n"

// The errors of Split.
var (
	errEmpty  = errors.New("command is empty")
	errQuoted = errors.New(`command has a quote " that is not closed`)
)

// Split splits a command line into words as programs of Windows do: at blanks;
// double quotes group, within a word too. A backslash is an ordinary character
// but in front of a quote: there two make one, and an odd one makes the quote a
// character. Within quotes, two quotes are one as well. In the first word, the
// program, a backslash never has a meaning. What follows cmd.exe /c is one word as it
// stands: cmd.exe has quotes of its own.
func Split(line string) ([]string, error) {
	words := []string{}
	rest := strings.TrimLeft(line, blanks)
	for rest != "" {
		take := argument
		if len(words) == 0 {
			take = program
		}
		word, behind, ok := take(rest)
		if !ok {
			return nil, errQuoted
		}
		words = append(words, word)
		rest = strings.TrimLeft(behind, blanks)
		if isCmd(words[0]) && isCode(word) && rest != "" {
			words = append(words, strings.TrimRight(rest, blanks))
			break
		}
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errEmpty
	}
	return words, nil
}

// program takes the first word of a line.
func program(line string) (word, rest string, ok bool) {
	var text strings.Builder
	quoted := false
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(blanks, c) >= 0:
			return text.String(), line[i:], true
		default:
			text.WriteByte(c)
		}
	}
	return text.String(), "", !quoted
}

// argument takes another word of a line.
func argument(line string) (word, rest string, ok bool) {
	var text strings.Builder
	quoted, backslashes := false, 0
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == '\\' {
			backslashes++
			continue
		}
		if c == '"' {
			text.WriteString(strings.Repeat(`\`, backslashes/2))
			odd := backslashes%2 == 1
			backslashes = 0
			switch {
			case odd:
				text.WriteByte('"')
			case quoted && i+1 < len(line) && line[i+1] == '"':
				text.WriteByte('"')
				i++
			default:
				quoted = !quoted
			}
			continue
		}
		text.WriteString(strings.Repeat(`\`, backslashes))
		backslashes = 0
		if !quoted && strings.IndexByte(blanks, c) >= 0 {
			return text.String(), line[i:], true
		}
		text.WriteByte(c)
	}
	text.WriteString(strings.Repeat(`\`, backslashes))
	return text.String(), "", !quoted
}
