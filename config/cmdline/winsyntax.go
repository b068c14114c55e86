package cmdline

import (
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/winargs"
)

// cmdexe is what reads the line behind /c as a shell does. Only Windows has it: elsewhere
// a script may have that name.
var cmdexe = leader{words: true, abbreviated: true, also: "/", codes: "c k", joins: true}

// leaderOf is the interpreter or the wrapper that a program is.
func leaderOf(program string) (l leader, ok bool) {
	name := programName(program)
	if runtime.GOOS == "windows" && name == "cmd" {
		return cmdexe, true
	}
	l, ok = leaders[name]
	return l, ok
}

// builtins are commands that cmd.exe has no program for.
var builtins = []string{
	"assoc", "call", "cd", "chdir", "cls", "copy", "del", "dir", "echo", "endlocal", "erase", "for", "if", "md", "mkdir", "mklink", "move", "path",
	"popd", "pushd", "rd", "rem", "ren", "rmdir", "set", "setlocal", "start", "time", "date", "type", "ver", "vol",
}

// What a line has for a shell of Windows: outside of quotes, operators and words in
// quotes that group nothing; anywhere, variables.
var (
	windowsOperator = regexp.MustCompile(`^[0-9&]?(?:>>?|<)|\||&&|^&$|&$`)
	percentVariable = regexp.MustCompile(`%[A-Za-z_][A-Za-z0-9_()]*(?::[^%]*)?%`)
	homePath        = regexp.MustCompile(`^(?:~|\$HOME|\$(?i:env):[A-Za-z_][A-Za-z0-9_()]*)[\\/]`)
	cmdlet          = regexp.MustCompile(`^[A-Z][A-Za-z]+-[A-Z][A-Za-z]+$`)
	hardlyMeantHere = regexp.MustCompile(`^(?:&&?|\|\|?|[0-9]?>>?.*|[0-9]>&[0-9])$`)
)

// windowsSyntax is ShellSyntax on Windows.
func (l *Line) windowsSyntax(s Command, parameters, appended bool) string {
	if text := l.typography(s.Words, `"`); text != "" {
		return text
	}
	shell := "put the line into a .cmd file of its own, and name that"
	switch {
	case parameters:
	case appended:
		shell = "put the line into a .cmd file of its own, in which %* are the arguments, and name that"
	case !l.list:
		shell = "write command: " + yamlText(`cmd.exe /d /s /c "`+l.text+`"`)
		if name := Stem(winargs.Base(s.Words[s.Program])); !l.named {
			shell += " and name: " + yamltree.Quote(name)
		}
	}
	switch first := s.Words[0]; {
	case slices.Contains(builtins, strings.ToLower(first)):
		return fmt.Sprintf("command has %q, which only cmd.exe understands, and no shell reads it (%s)", first, shell)
	case cmdlet.MatchString(first):
		return fmt.Sprintf("command has %q, which only PowerShell understands (put the line into a .ps1 file of its own, and name that)", first)
	}
	for i, word := range s.Words {
		switch found := percentVariable.FindString(word); {
		case s.isCode(i):
		case secretName.MatchString(word):
			return fmt.Sprintf("command has %q, which is given to the script as it stands (write it as a value of env:, and have the script read that variable)", secretName.FindString(word))
		case found != "":
			return fmt.Sprintf("command has %q, but variables are not expanded (write the value itself)", found)
		case homePath.MatchString(word):
			return fmt.Sprintf("command has %q, but ~ and variables are not expanded (write the whole path)", word)
		case l.list && hardlyMeantHere.MatchString(word):
			return fmt.Sprintf("command has %q, which only a shell understands, and no shell reads it (%s)", word, shell)
		}
	}
	if l.list || s.HasCode() {
		return ""
	}
	return bareSyntax(l.text, shell)
}

// bareSyntax says what of a line no quotes protect that only a shell would understand.
func bareSyntax(text, shell string) string {
	mask := windowsMask(text)
	for _, at := range wordsOf(mask) {
		word := text[at[0]:at[1]]
		switch {
		case windowsOperator.MatchString(mask[at[0]:at[1]]):
			return fmt.Sprintf("command has %q, which only a shell understands, and no shell reads it (%s; or put it in double quotes if it is meant as an argument)", word, shell)
		case strings.HasPrefix(mask[at[0]:at[1]], "'") && strings.Contains(text[at[0]+1:], "'"):
			return `command has the quote ', which groups nothing on Windows (write " in its place)`
		}
	}
	return ""
}

// windowsMask makes a _ of every byte that quotes protect, as winargs.Split has
// them.
func windowsMask(line string) string {
	mask := []byte(line)
	quoted, backslashes := false, 0
	for i, c := range mask {
		switch {
		case c == '"' && backslashes%2 == 0:
			quoted, mask[i] = !quoted, '_'
		case quoted:
			mask[i] = '_'
		}
		if c == '\\' {
			backslashes++
		} else {
			backslashes = 0
		}
	}
	return string(mask)
}

// DriveRelative says that a path of Windows such as C:file begins in a folder that is not
// known; nil for another one, and on other systems.
func DriveRelative(path string) *yamltree.Problem {
	if runtime.GOOS != "windows" {
		return nil
	}
	if drive := winargs.DriveRelative(path); drive != "" {
		return yamltree.Problemf(`write the whole path, which begins with `+drive+`\`, "%s begins in the current folder of drive %s, which may be any", path, drive)
	}
	return nil
}
