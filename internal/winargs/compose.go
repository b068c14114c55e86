package winargs

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Bounds of a command line, in units of UTF-16: of any, and of what cmd.exe reads.
const (
	maxLine      = 32766
	maxBatchLine = 8191
)

// Compose makes the command line that a program splits into these words again;
// the first one is the program.
func Compose(words []string) (string, error) {
	if len(words) == 0 || words[0] == "" {
		return "", errEmpty
	}
	if strings.ContainsAny(words[0], "\"\x00") {
		return "", fmt.Errorf("%q is the name of no program: it has a quote or a zero byte", words[0])
	}
	var line strings.Builder
	line.WriteString(quotedProgram(words[0]))
	for i, w := range words[1:] {
		if strings.IndexByte(w, 0) >= 0 {
			return "", fmt.Errorf("argument %d has a zero byte, which ends a command line", i+1)
		}
		line.WriteByte(' ')
		line.WriteString(Quote(w))
	}
	return line.String(), within(line.String(), maxLine)
}

// within says that a command line is too long.
func within(line string, most int) error {
	if n := len(utf16.Encode([]rune(line))); n > most {
		return fmt.Errorf("its command line is too long: %d characters, of at most %d", n, most)
	}
	return nil
}

// quotedProgram is the first word of a command line.
func quotedProgram(name string) string {
	if strings.ContainsAny(name, blanks) {
		return `"` + name + `"`
	}
	return name
}

// Quote gives a word as an argument in a command line.
func Quote(word string) string {
	if word != "" && !strings.ContainsAny(word, blanks+"\v\"") {
		return word
	}
	return inQuotes(word, `\`)
}

// inQuotes puts a word in quotes: escape is written in front of a quote in it, and the
// backslashes in front of any quote count twice.
func inQuotes(word, escape string) string {
	var text strings.Builder
	text.WriteByte('"')
	backslashes := 0
	for i := range len(word) {
		switch word[i] {
		case '\\':
			backslashes++
		case '"':
			text.WriteString(strings.Repeat(`\`, backslashes) + escape)
			backslashes = 0
		default:
			backslashes = 0
		}
		text.WriteByte(word[i])
	}
	text.WriteString(strings.Repeat(`\`, backslashes))
	text.WriteByte('"')
	return text.String()
}

// composeBatch makes the command line by which cmd.exe, at that path, runs a
// batch file with arguments: without the commands that the registry names for
// each start (/d), with its extensions, whatever the registry says (/e:on), and
// with an exclamation mark as an ordinary character (/v:off). cmd.exe takes the
// first and the last quote away, and keeps what lies between them. env is what the
// process has for an environment.
func composeBatch(cmd, file string, args, env []string) (string, error) {
	file = strings.ReplaceAll(file, "/", `\`)
	if strings.ContainsAny(file, `"*?<>|`) || strings.HasSuffix(file, `\`) || control(file) {
		return "", fmt.Errorf("%q is the name of no batch file", file)
	}
	words := []string{`"` + file + `"`}
	for i, a := range args {
		if control(a) {
			return "", fmt.Errorf("argument %d has a line break or another control character, which no batch file can be given", i+1)
		}
		words = append(words, quoteBatch(a))
	}
	own := strings.Join(words, " ")
	if variable := variableOf(own, env); variable != "" {
		return "", fmt.Errorf("cmd.exe, which runs batch files, would put the value of a variable in the place of %s: write the value itself", variable)
	}
	line := quotedProgram(cmd) + ` /d /e:on /v:off /c "` + own + `"`
	return line, within(line, maxBatchLine)
}

// isCmd reports whether a program is cmd.exe.
func isCmd(program string) bool {
	name := strings.ToLower(strings.TrimRight(Base(program), ". "))
	return name == "cmd" || name == "cmd.exe"
}

// isCode reports whether an argument of cmd.exe announces the line that it runs, or begins
// it: /c, /k and its other name /r, also behind others, as in /d/s/c.
func isCode(word string) bool {
	if !strings.HasPrefix(word, "/") {
		return false
	}
	for option := range strings.SplitSeq(word[1:], "/") {
		if option != "" && strings.ContainsRune("cCkKrR", rune(option[0])) {
			return true
		}
	}
	return false
}

// composeCmd makes the command line of cmd.exe with arguments of which one announces
// a line: the next one, as it stands. Those behind it are its arguments.
func composeCmd(cmd string, args []string) (string, error) {
	code := 0
	for code < len(args) && !isCode(args[code]) {
		code++
	}
	line, err := Compose(append([]string{cmd}, args[:min(code+1, len(args))]...))
	if err != nil {
		return "", err
	}
	for i, a := range args[min(code+1, len(args)):] {
		if control(a) {
			return "", errors.New("what cmd.exe is given has a line break or another control character, which ends it: put its lines into a .cmd file, and name that")
		}
		if i > 0 {
			a = quoteBatch(a)
		}
		line += " " + a
	}
	return line, within(line, maxBatchLine)
}

// dynamic are variables that cmd.exe has a value for without there being one.
var dynamic = []string{
	"CD", "DATE", "TIME", "RANDOM", "ERRORLEVEL", "CMDCMDLINE", "CMDEXTVERSION", "HIGHESTNUMANODENUMBER", "FIRMWARE_TYPE", "__APPDIR__", "__CD__",
	"PATH", "PATHEXT", "PROMPT", "COMSPEC", // which it sets where they are missing
}

// variableOf is the first %NAME% of a line for which cmd.exe has a value, in quotes
// as well. Any other stays as it is in a line that stands in no batch file.
func variableOf(line string, env []string) string {
	parts := strings.Split(line, "%")
	for i := 1; i < len(parts)-1; i++ {
		name, _, _ := strings.Cut(parts[i], ":")
		for _, n := range []string{name, parts[i]} {
			if defined(n, env) {
				return "%" + parts[i] + "%"
			}
		}
	}
	return ""
}

// defined reports whether cmd.exe has a value for a variable.
func defined(name string, env []string) bool {
	if name == "" {
		return false
	}
	if len(name) > 1 && name[0] == '=' { // such as the folder of each drive: it sets them itself
		return true
	}
	for _, d := range dynamic {
		if strings.EqualFold(d, name) {
			return true
		}
	}
	for _, e := range env {
		if i := strings.IndexByte(e, '='); i > 0 && strings.EqualFold(e[:i], name) {
			return true
		}
	}
	return false
}

// control reports whether a text has a character that cmd.exe may take for the
// end of a command.
func control(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// plainInBatch are the characters that cmd.exe and the batch file take for
// nothing else, beside letters and digits: all others are put in quotes, and so are blanks
// of all kinds, and ÿ, at which cmd.exe parts words as well.
const plainInBatch = `#$*+-./:?@\_`

// quoteBatch gives a word as an argument of a batch file. A quote is doubled,
// which never leaves what cmd.exe takes for quoted.
func quoteBatch(word string) string {
	ordinary := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(plainInBatch, r) ||
			r > 0x9f && r != 'ÿ' && unicode.In(r, unicode.L, unicode.M, unicode.N)
	}
	plain := word != "" && !strings.HasSuffix(word, `\`) // which would protect the quote of "%~1\"
	for _, r := range word {
		plain = plain && ordinary(r)
	}
	if plain {
		return word
	}
	return inQuotes(word, `"`)
}
