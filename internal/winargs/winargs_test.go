package winargs

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		`powershell.exe C:\scripts\powershell-script.ps1`: {"powershell.exe", `C:\scripts\powershell-script.ps1`},
		`"C:\Program Files\x\y.exe" -c "a b"`:             {`C:\Program Files\x\y.exe`, "-c", "a b"},
		`\\server\share\x.cmd  -c`:                        {`\\server\share\x.cmd`, "-c"},
		`"\\server\my share\x.cmd" \\a\b\`:                {`\\server\my share\x.cmd`, `\\a\b\`},
		`"C:\my scripts\" x`:                              {`C:\my scripts\`, "x"}, // no backslash has a meaning in the first word
		`x "C:\my scripts\\" y`:                           {"x", `C:\my scripts\`, "y"},
		`x "C:\my scripts\" y`:                            nil, // the quote is a character
		`x C:\my\"scripts`:                                {"x", `C:\my"scripts`},
		`x a\\\"b c\\"d e"`:                               {"x", `a\"b`, `c\d e`},
		`x "a ""b"" c" d`:                                 {"x", `a "b" c`, "d"},
		`x "" ""`:                                         {"x", "", ""},
		`x 'a b'`:                                         {"x", "'a", "b'"},
		`x a"b c"d`:                                       {"x", "ab cd"},
		`C:\x" "y.exe z`:                                  {`C:\x y.exe`, "z"},
		"  x\r\n\ty  ":                                    {"x", "y"},
		`cmd.exe /d /s /c "a.bat "x y" | find "z""  `:     {"cmd.exe", "/d", "/s", "/c", `"a.bat "x y" | find "z""`},
		`C:\Windows\CMD /C dir "a`:                        {`C:\Windows\CMD`, "/C", `dir "a`},
		`cmd /c`:                                          {"cmd", "/c"},
		`x /c "a b" c`:                                    {"x", "/c", "a b", "c"},
		`x %PATH% a^b`:                                    {"x", "%PATH%", "a^b"},
		`x ü "日 本"`:                                       {"x", "ü", "日 本"},
		"":                                                nil,
		" \t":                                             nil,
		`"" x`:                                            nil,
		`"x`:                                              nil,
		`x "y`:                                            nil,
	} {
		got, err := Split(line)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
	for line, want := range map[string]string{"": "command is empty", `"" x`: "command is empty", `x "y`: `command has a quote " that is not closed`} {
		if _, err := Split(line); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

func TestCompose(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{`C:\Program Files\x.exe`, "-c"}, `"C:\Program Files\x.exe" -c`},
		{[]string{"x", ""}, `x ""`},
		{[]string{"x", `a b\`, `c\`}, `x "a b\\" c\`},
		{[]string{"x", `a"b`, `a\"b`, `a\\ b`}, `x "a\"b" "a\\\"b" "a\\ b"`},
		{[]string{"x", "&|<>^%()!"}, `x &|<>^%()!`},
	} {
		if got, err := Compose(c.words); got != c.want || err != nil {
			t.Errorf("%q: %s, %v, want %s", c.words, got, err, c.want)
		}
	}
	for want, words := range map[string][]string{
		"command is empty": {}, "argument 2 has a zero byte, which ends a command line": {"x", "y", "a\x00b"},
		`"x\"y" is the name of no program: it has a quote or a zero byte`:  {`x"y`},
		"its command line is too long: 40002 characters, of at most 32766": {"x", strings.Repeat("y", 40000)},
	} {
		if got, err := Compose(words); err == nil || err.Error() != want {
			t.Errorf("%.80q, %v, want %s", got, err, want)
		}
	}
}

// machine is one with these programs.
func machine(files ...string) System {
	isFile := func(file string) bool {
		return slices.ContainsFunc(files, func(f string) bool { return strings.EqualFold(f, file) })
	}
	return System{Folder: `C:\Windows\System32`, IsFile: isFile, Find: func(name string) string { return Find(name, `C:\Python;C:\bin`, "", isFile) }}
}

func TestStart(t *testing.T) {
	const powershell = `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`
	full := machine(powershell, `C:\Python\python.exe`, `C:\bin\python3.exe`, `C:\bin\perl.exe`)
	env := []string{"Path=x", "PROG%=1", "=C:=x", "b c=d", "ODD:=x"}
	const cmd = `C:\Windows\System32\cmd.exe /d /e:on /v:off /c `
	for _, c := range []struct {
		on         System
		file, args string
		want       string
	}{
		{full, `C:\x\y.exe`, `-c|a b`, `C:\x\y.exe -c "a b"`},
		{full, `C:\x y\z.BAT`, `-c|a b`, cmd + `""C:\x y\z.BAT" -c "a b""`},
		{full, `C:/x/z.cmd`, ``, cmd + `""C:\x\z.cmd""`},
		{full, `\\server\share\z.cmd`, `-d`, cmd + `""\\server\share\z.cmd" -d"`},
		{full, `C:\x\z.bat. .`, `a&b`, cmd + `""C:\x\z.bat. ." "a&b""`},
		{full, `C:\x:evil.bat`, `a&b`, cmd + `""C:\x:evil.bat" "a&b""`},
		{full, `C:\z.bat`, `a&calc|a"&calc&"|^&|%NONE%|!x!|(x)|a;b,c=d|<in|>out|`, cmd +
			`""C:\z.bat" "a&calc" "a""&calc&""" "^&" "%NONE%" "!x!" "(x)" "a;b,c=d" "<in" ">out" """`},
		{full, `C:\z.bat`, `-w|80%|C:\dir\|a\"|http://h/?a=b|ü`, cmd + `""C:\z.bat" -w "80%" "C:\dir\\" "a\\""" "http://h/?a=b" ü"`},
		{full, `C:\z.bat`, "a\u00a0b|a\u3000b|ÿ|\uff02&\uff02|日本", cmd + "\"\"C:\\z.bat\" \"a\u00a0b\" \"a\u3000b\" \"ÿ\" \"\uff02&\uff02\" 日本\""},
		{full, `C:\z.bat`, `%=D:%`, "cmd.exe, which runs batch files, would put the value of a variable in the place of %=D:%: write the value itself"},
		{full, `C:\100%\z.bat`, `x`, cmd + `""C:\100%\z.bat" x"`},
		{full, `C:\z.bat`, `-w|%path:~1,2%`, "cmd.exe, which runs batch files, would put the value of a variable in the place of %path:~1,2%: write the value itself"},
		{full, `C:\z.bat`, `x%b c%y`, "cmd.exe, which runs batch files, would put the value of a variable in the place of %b c%: write the value itself"},
		{full, `C:\z.bat`, `%%Cd%`, "cmd.exe, which runs batch files, would put the value of a variable in the place of %Cd%: write the value itself"},
		{full, `C:\z.bat`, `%x%path%`, "cmd.exe, which runs batch files, would put the value of a variable in the place of %path%: write the value itself"},
		{full, `C:\%odd:%\z.bat`, ``, "cmd.exe, which runs batch files, would put the value of a variable in the place of %odd:%: write the value itself"},
		{full, `C:\z.bat`, `%=c:%`, "cmd.exe, which runs batch files, would put the value of a variable in the place of %=c:%: write the value itself"},
		{full, `C:\z.bat`, "a\nb", "argument 1 has a line break or another control character, which no batch file can be given"},
		{full, `C:\z.bat`, "x|a\x1ab", "argument 2 has a line break or another control character, which no batch file can be given"},
		{full, `C:\z"&calc&".bat`, "", `"C:\\z\"&calc&\".bat" is the name of no batch file`},
		{full, `C:\z.bat`, strings.Repeat("x", 9000), "its command line is too long: 9060 characters, of at most 8191"},
		{full, `C:\Windows\cmd.exe`, `/d|/s|/c|"a.bat "x y"  ^ find "z""|-c|a & b`, `C:\Windows\cmd.exe /d /s /c "a.bat "x y"  ^ find "z"" -c "a & b"`},
		{full, `C:\Windows\CMD.EXE`, `/K|ver`, `C:\Windows\CMD.EXE /K ver`},
		{full, `C:\Windows\cmd.exe`, `/d/s/c|"a.bat "x y""|a"&b`, `C:\Windows\cmd.exe /d/s/c "a.bat "x y"" "a""&b"`},
		{full, `C:\Windows\cmd.exe`, `/R|"a "x""`, `C:\Windows\cmd.exe /R "a "x""`},
		{full, `C:\Windows\cmd.exe.`, `/c|"a "x""`, `C:\Windows\cmd.exe. /c "a "x""`},
		{full, `C:\Windows\cmd.exe`, ``, `C:\Windows\cmd.exe`},
		{full, `C:\Windows\cmd.exe`, "/c|ver\ndir", "what cmd.exe is given has a line break or another control character, which ends it: put its lines into a .cmd file, and name that"},
		{full, `C:\my scripts\x.ps1`, `-c|a b`, powershell + ` -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "C:\my scripts\x.ps1" -c "a b"`},
		{machine(`C:\bin\pwsh.exe`), `C:\x.PS1`, ``, `C:\bin\pwsh.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File C:\x.PS1`},
		{machine(), `C:\x.ps1`, ``, `C:\x.ps1: there is no powershell.exe: install PowerShell`},
		{full, `C:\x.py`, `-c`, `C:\Python\python.exe C:\x.py -c`},
		{machine(`C:\bin\py.exe`), `C:\x.py`, ``, `C:\bin\py.exe C:\x.py`},
		{machine(), `C:\x.py`, ``, `C:\x.py: not found in PATH: python.exe, python3.exe, py.exe, which runs it: install it for all users, or put the whole path of the program in front of it in command`},
		{full, `C:\x.pl`, ``, `C:\bin\perl.exe C:\x.pl`},
		{full, `C:\x.vbs`, `a`, `C:\Windows\System32\cscript.exe //nologo C:\x.vbs a`},
		{full, `C:\x.sh`, ``, `C:\x.sh: Windows has no program that runs it: put a shell in front of it in command, such as "C:\Program Files\Git\bin\bash.exe"`},
		{full, `C:\x.js`, ``, `C:\x.js: Windows has no program that runs it: put node.exe in front of it in command, or cscript.exe //nologo where it is written for Windows Script Host`},
	} {
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, "|")
		}
		got, err := c.on.Start(c.file, args, env)
		if err != nil {
			got.Line = err.Error()
		}
		if got.Line != c.want {
			t.Errorf("%s %q:\n%s, want\n%s", c.file, args, got.Line, c.want)
		}
		got.Application = strings.TrimRight(got.Application, ".")
		if program := c.want[:strings.Index(strings.ToLower(c.want), ".exe")+4]; err == nil && got.Application != program {
			t.Errorf("%s is started by %s, want %s", c.file, got.Application, program)
		}
	}
	for file, want := range map[string]bool{"a.PS1": true, "a.py": true, "a.b.exe": true, "a.sh": false, "a": false, "a.exe.txt": false, "README.md": false} {
		if IsProgram(file) != want {
			t.Errorf("%s is a program: %v", file, !want)
		}
	}
}

func TestFind(t *testing.T) {
	isFile := machine(`C:\bin\x.exe`, `C:\bin\x`, `D:\more\x.cmd`, `D:\more\y.bat`, `C:\bin\z.ps1`, `D:\a b\q.com`, `here\x.exe`, `\\s\share\n.exe`, `.\x.exe`, `C:\bin\nul`, `C:\bin\v1.2.exe`).IsFile
	const path = `.;here;;"D:\a b";C:\bin\;D:\more;C:relative;\rooted;\\s\share`
	for name, want := range map[string]string{
		"x": `C:\bin\x.exe`, "X.EXE": `C:\bin\X.EXE`, "x.cmd": `D:\more\x.cmd`, "y": `D:\more\y.bat`, "z": "", "z.ps1": `C:\bin\z.ps1`, "q": `D:\a b\q.com`, "n": `\\s\share\n.exe`,
		"v1.2":           `C:\bin\v1.2.exe`,
		"nul":            "",
		"missing":        "",
		`C:\bin\x`:       `C:\bin\x.exe`,
		`C:/bin/x.exe`:   "",
		`D:\more\x`:      `D:\more\x.cmd`,
		`here\x.exe`:     "",
		`.\x.exe`:        "",
		`C:x.exe`:        "",
		`\\s\share\n`:    `\\s\share\n.exe`,
		`C:\bin\x.exe. `: "",
		"":               "",
	} {
		if got := Find(name, path, "", isFile); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := Find("z", path, " ; .PS1;exe", isFile); got != `C:\bin\z.ps1` {
		t.Errorf("by another PATHEXT: %q", got)
	}
}

func TestPaths(t *testing.T) {
	for path, want := range map[string]bool{
		`C:\`: true, `c:/x`: true, `C:x`: false, `C:`: false, `\x`: false, `/x`: false, `x`: false, `\\s\share`: true, `//s/share/x`: true, `\\?\C:\x`: true, `1:\x`: false, ``: false,
	} {
		if IsAbs(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
	for path, want := range map[string]string{`C:\x\y`: "C:", `C:x`: "C:", `\\s\share\x`: `\\s\share`, `\\s\share`: `\\s\share`, `\x`: "", "x": ""} {
		if got := Volume(path); got != want {
			t.Errorf("volume of %s: %q", path, got)
		}
	}
	for path, want := range map[string]string{`d:x\y.exe`: "d:", `C:`: "C:", `C:\x`: "", `C:/x`: "", `x`: "", `\x`: "", `\\s\share\x`: "", ``: ""} {
		if got := DriveRelative(path); got != want {
			t.Errorf("%s begins on %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string]string{`C:\a.b\c`: "", `C:\x.BAT`: ".bat", `x.bat. . `: ".bat", `C:x.cmd`: ".cmd", `x.`: "", `.profile`: ".profile", `C:\x.d\`: ".d"} {
		if got := Ext(path); got != want {
			t.Errorf("extension of %s: %q", path, got)
		}
	}
	for name, want := range map[string]bool{
		"nul": true, "AUX.txt": true, "com1": true, "COM¹.log": true, "con .x": true, "x.": true, "x ": true, "a:b": true, "a?": true, "x\ty": true, "conin$": true,
		"console": false, "com": false, "com10": false, "x.nul": false, "x y.z": false, ".x": false,
	} {
		if IsReserved(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("x\x01a b\x01\"\x01c\\\x01")
	f.Fuzz(func(t *testing.T, joined string) {
		words := strings.Split(joined, "\x01")
		line, err := Compose(words)
		if err != nil {
			return
		}
		if got, err := Split(line); err != nil || !slices.Equal(got, words) {
			t.Fatalf("%q became %s, which is split into %q, %v", words, line, got, err)
		}
	})
}

// evil is in no argument, since it has a control character.
const evil = "evil\x02"

// expanded is what cmd.exe makes of the variables of a line that is in no file,
// where CD and FOO have values that end a command.
func expanded(line string) string {
	var text strings.Builder
	for {
		before, rest, ok := strings.Cut(line, "%")
		text.WriteString(before)
		name, behind, closed := strings.Cut(rest, "%")
		switch {
		case !ok:
			return text.String()
		case !closed || name == "": // an ordinary character
			text.WriteByte('%')
			line = rest
		case strings.EqualFold(name, "cd") || strings.EqualFold(name, "foo"):
			text.WriteString("\"&" + evil)
			line = behind
		default: // the second one may begin another
			text.WriteString("%" + name)
			line = "%" + behind
		}
	}
}

func FuzzBatch(f *testing.F) {
	for _, seed := range []string{"", "a&b", `"&calc&"`, `\"&calc`, "%FOO%", "%a%%b%", `%a%foo%`, `%cd%`, `%`, `"%"%"`, "^", `a\`, "!x!", "\\\\\"\"|", "%\x01%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, joined string) {
		args := strings.Split(joined, "\x01")
		s, err := machine().Start(`C:\x y\z.bat`, args, []string{"Foo=x"})
		if err != nil {
			return
		}
		line := strings.TrimPrefix(expanded(s.Line), `C:\Windows\System32\cmd.exe /d /e:on /v:off /c "`)
		line, ok := strings.CutSuffix(line, `"`)
		if !ok {
			t.Fatalf("%s ends in no quote", s.Line)
		}
		quoted := false
		for _, r := range line {
			if r == '"' {
				quoted = !quoted
			} else if !quoted && strings.ContainsRune("&|<>^()\r\n", r) {
				t.Fatalf("%q: cmd.exe takes %c of %s for its own", args, r, line)
			}
		}
		if quoted || strings.Contains(line, evil) {
			t.Fatalf("%q: cmd.exe makes of it %s", args, line)
		}
		// What programs split into words are the arguments again.
		if words, err := Split(line); err != nil || !slices.Equal(words[1:], args) {
			t.Fatalf("%q: a program makes of it %q, %v", args, words, err)
		}
	})
}
