package cmdline

import (
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
)

// Line is a command as it was written, for finding what only a shell
// would understand.
type Line struct {
	text   string
	mask   string // of text's length, a byte that a quote protects made a _
	list   bool   // it was written as a list of words
	folder string // what its relative paths start from
	named  bool   // the entry has a name
}

// Command is the command of a script.
type Command struct {
	Words            []string
	Program          int // the index of the script's own file
	WorkingDirectory string
}

// ShellSyntax says what of the command only a shell would understand, which
// the script gets as an ordinary argument instead, and what to write; "" for
// nothing. Of a command line, only what no quotes protect counts; of a list
// of words, only what can hardly be meant as an argument. parameters says that
// requests fill places in it, appended that the script is given arguments behind
// those of its command.
func (l *Line) ShellSyntax(s Command, parameters, appended bool) string {
	if runtime.GOOS == "windows" {
		return l.windowsSyntax(s, parameters, appended)
	}
	if text := l.typography(s.Words, `" or '`); text != "" {
		return text
	}
	found, inPath := l.find(s.isCode)
	name, assigned := strings.CutSuffix(found, "=")
	switch {
	case found == "":
		return ""
	case inPath:
		return fmt.Sprintf("command has %q, but ~ and variables are not expanded (write the whole path)", found)
	case assigned && variableForm.MatchString(name):
		return fmt.Sprintf("command begins with %s=, which only a shell understands (leave it out, and write env: {%[1]s: …})", name)
	case secretName.MatchString(found):
		return fmt.Sprintf("command has %q, which is given to the script as it stands (write it as a value of env:, and have the script read that variable)", found)
	}
	line, left := l.foreground()
	rest, inPath := line.find(s.isCode)
	remedy := "put the line into a script of its own, and name that"
	switch {
	case rest == "":
		remedy = "leave out the &: what a run leaves behind is ended with it"
	case inPath:
		return fmt.Sprintf("command has %q, but ~ and variables are not expanded (write the whole path, without the & behind it)", rest)
	case !parameters:
		remedy = line.forShell(s, appended)
		if left {
			remedy += "; without the & at its end, since what it starts is ended with its run"
		}
	}
	if first := notBlank.FindString(l.text); !l.list && found != first {
		remedy += "; or put it in single quotes if it is meant as an argument"
	}
	return fmt.Sprintf("command has %q, which only a shell understands, and no shell reads it (%s)", found, remedy)
}

// secretName is what names a secret as a value of env:. A shell has no such names.
var secretName = regexp.MustCompile(`\$\{(env|credential):[A-Za-z_][A-Za-z0-9_.-]*\}`)

// dashes are what word processors make of hyphens, each with as many of those.
var dashes = strings.NewReplacer("–", "-", "—", "--", "‒", "-", "―", "--", "−", "-", "‐", "-", "‑", "-")

// typography says what a command has that a word processor or a page has put in
// the place of a character of ASCII, and what to write; "" for nothing. quotes are those
// that group.
func (l *Line) typography(words []string, quotes string) string {
	for _, word := range words {
		if option := dashes.Replace(word); !strings.HasPrefix(word, "-") && strings.HasPrefix(option, "-") && strings.Trim(option, "- ") != "" {
			if strings.HasPrefix(option, "---") {
				option = "--" + strings.TrimLeft(option, "-")
			}
			return fmt.Sprintf("command has %q, which begins with a dash that is no hyphen (write %s)", word, option)
		}
	}
	if l.list {
		return ""
	}
	if i := strings.IndexAny(l.text, "“”„‘‚"); i >= 0 {
		quote, _ := utf8.DecodeRuneInString(l.text[i:])
		return fmt.Sprintf("command has the quote %c, which groups nothing (write %s in its place)", quote, quotes)
	}
	quote := rune(0)
	for _, r := range l.text {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case r == quote:
			quote = 0
		case quote == 0 && yamltree.OddSpace(r):
			return fmt.Sprintf("command has the character U+%04X, which looks like a space or like nothing, and separates no words (write an ordinary space in its place, or remove it)", r)
		}
	}
	return ""
}

// HasCode reports whether the command holds the code that it runs, as sh -c
// does.
func (s Command) HasCode() bool {
	given, leads := follow(s.Words, "", "")
	return s.Program == 0 && leads && given.code > 0
}

// isCode reports whether the command's word i is such code, or is the option
// that announces it.
func (s Command) isCode(i int) bool {
	given, _ := follow(s.Words, "", "")
	return s.HasCode() && (i == given.code || i == given.code+1 || given.joins && i > given.code)
}

// NewLine keeps a command line.
func NewLine(text, folder string, named bool) *Line {
	return &Line{text: text, mask: shellMask(text), folder: folder, named: named}
}

// NewList keeps a list of words, as the line that a shell would split
// into them, but for its operators.
func NewList(words []string, folder string, named bool) *Line {
	var text, mask strings.Builder
	for i, w := range words {
		if i > 0 {
			text.WriteByte(' ')
			mask.WriteByte(' ')
		}
		if hardlyMeant.MatchString(w) || i == 0 && (assigns.MatchString(w) || slices.Contains(shellWords, w)) {
			text.WriteString(w)
			mask.WriteString(w)
			continue
		}
		w = Quote(w)
		text.WriteString(w)
		mask.WriteString(strings.Repeat("_", len(w)))
	}
	return &Line{text: text.String(), mask: mask.String(), list: true, folder: folder, named: named}
}

// hardlyMeant are words of a list that nobody would give to a script: shell
// operators, and paths that only a shell would find.
var hardlyMeant = regexp.MustCompile(`^(&&|\|\||[0-9]*>&[0-9]|[0-9]*>>?/\S*|&>\S*|~[a-z0-9_-]*/\S*|\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})/\S*|\$\{(env|credential):[A-Za-z_][A-Za-z0-9_.-]*\})$`)

// shellMask makes a _ of every byte that a shell would not look at: those in
// single quotes, and of those in double quotes all but what begins a variable
// or a substitution.
func shellMask(line string) string {
	mask := []byte(line)
	quote := byte(0)
	for i := range mask {
		switch c := mask[i]; {
		case quote == 0 && (c == '\'' || c == '"'):
			quote, mask[i] = c, '_'
		case quote == 0 && c < 0x80:
		case c == quote:
			quote, mask[i] = 0, '_'
		case quote == '"' && (c == '$' || c == '`' || c == '(' || c == '{'):
		case quote == '"' && (variableForm.Match([]byte{c}) || '0' <= c && c <= '9'):
		default:
			mask[i] = '_'
		}
	}
	return string(mask)
}

// The words of a mask that a shell takes for something else than a word.
var (
	assigns      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	tildePath    = regexp.MustCompile(`^~[a-z0-9_-]*/|^\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})/`)
	substitution = regexp.MustCompile("`" + `|\$[({A-Za-z_]|\{[^{}\s]*\.\.[^{}\s]*\}`)
	// An & within a word is most often that of a URL, and an arrow no
	// redirection.
	operator = regexp.MustCompile(`[|;]|&&|^&|&$|(^|[^-=])[<>]`)
	wildcard = regexp.MustCompile(`[?]|\[.+\]`)

	shellWords = []string{
		"(", "{", "!", ".", "source", "cd", "export", "eval", "exec", "set", "unset", "ulimit", "umask", "trap", "alias",
		"if", "for", "while", "until", "case", "function", "local", "declare", "typeset",
		"[[", "let", "shopt", "mapfile", "readarray", "pushd", "popd", "select", "coproc", "builtin",
	}
)

// find gives the first thing that only a shell would understand, as written
// (of an assignment the name alone, since its value may be a secret). inPath
// says that all there is are ~ and variables that paths begin with.
func (l *Line) find(isCode func(i int) bool) (found string, inPath bool) {
	inPath = true
	for i, at := range wordsOf(l.mask) {
		if isCode(i) {
			continue
		}
		word, mask := l.text[at[0]:at[1]], l.mask[at[0]:at[1]]
		path := tildePath.MatchString(mask)
		switch {
		case path:
		case i == 0 && assigns.MatchString(mask) && !strings.Contains(mask, "=("):
			word = assigns.FindString(mask)
		case i == 0 && (slices.Contains(shellWords, word) || mask[0] == '(' || strings.Contains(mask, "=(")):
		case substitution.MatchString(mask), operator.MatchString(mask), strings.Contains(mask, "*"):
		case wildcard.MatchString(mask) && l.matchesFiles(word):
		default:
			continue
		}
		if found == "" {
			found = word
		}
		inPath = inPath && path
	}
	return found, inPath
}

// background is the & that ends a line.
var background = regexp.MustCompile(`(^|[^&|<>])([ \t]*&[ \t]*(?:disown[ \t]*)?)$`)

// foreground is the line without an & at its end: a run ends with all that it
// started, so that a script in the background would hardly begin.
func (l *Line) foreground() (line *Line, left bool) {
	at := background.FindStringSubmatchIndex(l.mask)
	if at == nil {
		return l, false
	}
	short := *l
	short.text, short.mask = l.text[:at[4]], l.mask[:at[4]]
	return &short, true
}

// matchesFiles reports whether a shell would put the names of files in the
// place of a pattern.
func (l *Line) matchesFiles(pattern string) bool {
	files, err := filepath.Glob(fsx.Absolute(l.folder, pattern))
	return err == nil && len(files) > 0
}

// wordsOf gives where the words of a mask begin and end.
func wordsOf(mask string) [][]int { return notBlank.FindAllStringIndex(mask, -1) }

var notBlank = regexp.MustCompile(`[^ \t\r\n]+`)

// forShell says how the command is written for a shell.
func (l *Line) forShell(s Command, appended bool) string {
	from, to := l.ownPart()
	text := l.text
	if appended && from < to {
		text = text[:to] + ` "$@"` + text[to:]
	}
	if s.WorkingDirectory != "" { // where a relative path would lead elsewhere
		for _, at := range wordsOf(l.mask[:to]) {
			if word := text[at[0]:at[1]]; IsPath(word) && fsx.Absolute(l.folder, word) == s.Words[s.Program] {
				text = text[:at[0]] + s.Words[s.Program] + text[at[1]:]
				break
			}
		}
	}
	shell := l.shell()
	list := "[" + shell + ", -c, " + yamlText(text)
	if appended && from < to {
		list += ", " + shell // what $0 is
	}
	remedy := "write command: " + list + "]"
	if !l.named {
		words, err := Parse(l.text[from:to])
		if err == nil {
			name := filepath.Base(words[0])
			if _, at, file := FindOwnFile(words, l.folder, s.WorkingDirectory); at > 0 {
				name = filepath.Base(file)
			}
			remedy += " and name: " + yamltree.Quote(Stem(name))
		}
	}
	return remedy
}

// control are the operators that end a simple command.
var control = regexp.MustCompile(`[|;]+|&&|&$|&[ \t]`)

// redirection is where the arguments of a simple command end at the latest.
var redirection = regexp.MustCompile(`[ \t]*(&>|[0-9]*[<>])`)

// ownPart finds the simple command of the line that runs the script: the first
// one that names a path or an interpreter, else the first that is no word of
// the shell's own. It gives where that begins, and where its arguments end.
func (l *Line) ownPart() (from, to int) {
	var parts [][2]int
	begin := 0
	for _, at := range append(control.FindAllStringIndex(l.mask, -1), []int{len(l.mask), len(l.mask)}) {
		part := [2]int{begin, at[0]}
		begin = at[1]
		if r := redirection.FindStringIndex(l.mask[part[0]:part[1]]); r != nil {
			part[1] = part[0] + r[0]
		}
		words := wordsOf(l.mask[part[0]:part[1]])
		for len(words) > 0 && assigns.MatchString(l.mask[part[0]+words[0][0]:part[0]+words[0][1]]) {
			words = words[1:]
		}
		if len(words) > 0 {
			parts = append(parts, [2]int{part[0] + words[0][0], part[0] + words[len(words)-1][1]})
		}
	}
	for _, ok := range []func(word string) bool{
		func(w string) bool { _, leads := leaderOf(w); return leads || IsPath(w) },
		func(w string) bool { return !slices.Contains(shellWords, w) },
	} {
		for _, p := range parts {
			if word := notBlank.FindString(l.text[p[0]:p[1]]); ok(strings.Trim(word, `"'(`)) {
				return p[0], p[1]
			}
		}
	}
	return 0, 0
}

// yamlText gives a text in quotes, as one item of a list in one line.
func yamlText(s string) string {
	if strings.ContainsAny(s, "\n\r\t") || !strings.ContainsAny(s, `"\`) {
		return yamltree.Quote(s)
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// Quote gives a word that a shell takes for text alone.
func Quote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)
