package winargs

import (
	"fmt"
	"slices"
	"strings"
)

// System is what a command needs of the machine.
type System struct {
	Folder string                   // of Windows' own programs: C:\Windows\System32
	IsFile func(file string) bool   // whether there is such a file
	Find   func(name string) string // the program of that name in PATH; empty: none
}

// Start is what CreateProcess is given.
type Start struct {
	Application string // the whole path of the program
	Line        string // its command line
}

// interpreters are the programs that run a file of an extension, the first of which
// that is in PATH is taken.
var interpreters = map[string][]string{
	".py": {"python.exe", "python3.exe", "py.exe"}, ".pyw": {"python.exe", "python3.exe", "py.exe"},
	".pl": {"perl.exe"}, ".rb": {"ruby.exe"}, ".php": {"php.exe"}, ".lua": {"lua.exe"}, ".tcl": {"tclsh.exe"},
}

// IsProgram reports whether a file's extension is that of a program, or of a script
// that Start knows how to run: what the executable bit is elsewhere.
func IsProgram(file string) bool {
	switch ext := Ext(file); ext {
	case ".exe", ".com", ".bat", ".cmd", ".ps1", ".vbs", ".vbe", ".wsf":
		return true
	default:
		return interpreters[ext] != nil
	}
}

// unclear are extensions whose program only the user can name, with what to write.
var unclear = map[string]string{
	".sh":   `put a shell in front of it in command, such as "C:\Program Files\Git\bin\bash.exe"`,
	".bash": `put a shell in front of it in command, such as "C:\Program Files\Git\bin\bash.exe"`,
	".js":   "put node.exe in front of it in command, or cscript.exe //nologo where it is written for Windows Script Host",
	".jar":  "put java.exe -jar in front of it in command",
}

// IsBatch reports whether cmd.exe runs a file.
func IsBatch(file string) bool { ext := Ext(file); return ext == ".bat" || ext == ".cmd" }

// Interpreter gives the words in front of a file that run it: the whole path of a
// program, and its options. There are none in front of a program, and in front of a batch file
// only cmd.exe, which reads a command line of its own kind.
func (s System) Interpreter(file string) ([]string, error) {
	ext := Ext(file)
	switch ext {
	case ".bat", ".cmd":
		return []string{s.own("cmd.exe")}, nil
	case ".ps1":
		program := s.own(`WindowsPowerShell\v1.0\powershell.exe`)
		if !s.IsFile(program) { // as on a Nano Server
			if program = s.first("powershell.exe", "pwsh.exe"); program == "" {
				return nil, fmt.Errorf("%s: there is no powershell.exe: install PowerShell", file)
			}
		}
		return []string{program, "-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"}, nil
	case ".vbs", ".vbe", ".wsf":
		return []string{s.own("cscript.exe"), "//nologo"}, nil
	}
	if remedy, ok := unclear[ext]; ok {
		return nil, fmt.Errorf("%s: Windows has no program that runs it: %s", file, remedy)
	}
	if names, ok := interpreters[ext]; ok {
		program := s.first(names...)
		if program == "" {
			return nil, fmt.Errorf("%s: not found in PATH: %s, which runs it: install it for all users, or put the whole path of the program in front of it in command",
				file, strings.Join(names, ", "))
		}
		return []string{program}, nil
	}
	return nil, nil
}

// own is one of Windows' own programs, which no folder of PATH can stand in for.
func (s System) own(name string) string { return strings.TrimRight(s.Folder, `\/`) + `\` + name }

// Python is the program that runs files of Python; empty: there is none in PATH.
func (s System) Python() string { return s.first(interpreters[".py"]...) }

// first is the first program of those names that is in PATH. One that may be nothing but
// an offer of Microsoft's shop is taken where there is no other.
func (s System) first(names ...string) (offer string) {
	for _, name := range names {
		file := s.Find(name)
		if file != "" && !IsOffer(file) {
			return file
		}
		if offer == "" {
			offer = file
		}
	}
	return offer
}

// IsOffer reports whether a program lies where Windows keeps the names of what comes from the
// Microsoft Store. Until that is installed, such a program does no more than offer it.
func IsOffer(file string) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(file, "/", `\`)), `\microsoft\windowsapps\`)
}

// Start gives what starts a file, an absolute path, with arguments, in an
// environment.
func (s System) Start(file string, args, env []string) (Start, error) {
	before, err := s.Interpreter(file)
	if err != nil {
		return Start{}, err
	}
	if IsBatch(file) {
		line, err := composeBatch(before[0], file, args, env)
		return Start{before[0], line}, err
	}
	if isCmd(file) {
		line, err := composeCmd(file, args)
		return Start{file, line}, err
	}
	words := slices.Concat(before, []string{file}, args)
	line, err := Compose(words)
	return Start{words[0], line}, err
}
