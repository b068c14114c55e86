package cmdline

import (
	"strings"
	"testing"

	"scriptbridge/internal/winargs"
)

// TestWindowsSyntax: what is said of a command on Windows.
func TestWindowsSyntax(t *testing.T) {
	const shell, quoteIt = ", which only a shell understands, and no shell reads it (write command: '", "; or put it in double quotes if it is meant as an argument)"
	const ofArguments = ", which only a shell understands, and no shell reads it (put the line into a .cmd file of its own, in which %* are the arguments, and name that; or put it in double quotes if it is meant as an argument)"
	for _, c := range []struct {
		line     string
		appended bool
		want     string
	}{
		{`powershell.exe C:\scripts\powershell-script.ps1`, true, ""},
		{`powershell.exe -NoProfile -Command "Get-Item $env:TEMP | Select Name > x"`, false, ""},
		{`C:\x\y.exe "a | b" ">" "&&" "'a b'" "2>&1"`, true, ""},
		{`curl.exe http://x.example/?a=1&b=2 -w 80% -c 90%`, false, ""},
		{`C:\x\check.exe -r a->b it's`, false, ""},
		{`\\server\share\x.cmd a,b;c ^x`, false, ""},
		{`C:\x\y.exe | find "z"`, false, `command has "|"` + shell + `cmd.exe /d /s /c "C:\x\y.exe | find "z""' and name: "y"` + quoteIt},
		{`C:\x\y.exe 2>&1`, false, `command has "2>&1"` + shell + `cmd.exe /d /s /c "C:\x\y.exe 2>&1"' and name: "y"` + quoteIt},
		{`C:\x\y.exe | find "z"`, true, `command has "|"` + ofArguments},
		{`C:\x\y.exe >C:\out.txt`, true, `command has ">C:\\out.txt"` + ofArguments},
		{`C:\x\y.exe < in`, true, `command has "<"` + ofArguments},
		{`C:\x\y.exe && z`, true, `command has "&&"` + ofArguments},
		{`C:\x\y.exe & z`, true, `command has "&"` + ofArguments},
		{`C:\x\y.exe 'a b'`, true, `command has the quote ', which groups nothing on Windows (write " in its place)`},
		{`C:\x\y.exe "%TEMP%\z"`, true, `command has "%TEMP%", but variables are not expanded (write the value itself)`},
		{`C:\x\y.exe %ProgramFiles(x86)%\z`, true, `command has "%ProgramFiles(x86)%", but variables are not expanded (write the value itself)`},
		{`%SystemRoot%\x.exe`, true, `command has "%SystemRoot%", but variables are not expanded (write the value itself)`},
		{`C:\x\y.exe ~\z`, true, `command has "~\\z", but ~ and variables are not expanded (write the whole path)`},
		{`C:\x\y.exe $env:USERPROFILE\z`, true, `command has "$env:USERPROFILE\\z", but ~ and variables are not expanded (write the whole path)`},
		{`C:\x\y.exe ${env:TOKEN}`, true, `command has "${env:TOKEN}", which is given to the script as it stands (write it as a value of env:, and have the script read that variable)`},
		{`echo hello`, false, `command has "echo", which only cmd.exe understands, and no shell reads it (write command: 'cmd.exe /d /s /c "echo hello"' and name: echo)`},
		{`Get-Process x`, false, `command has "Get-Process", which only PowerShell understands (put the line into a .ps1 file of its own, and name that)`},
		{`C:\x\y.exe “a b”`, true, "command has the quote “, which groups nothing (write \" in its place)"},
		{`C:\x\y.exe –c`, true, `command has "–c", which begins with a dash that is no hyphen (write -c)`},
	} {
		words, err := winargs.Split(c.line)
		if err != nil {
			t.Fatal(err)
		}
		if got := NewLine(c.line, `C:\x`, false).windowsSyntax(Command{Words: words}, false, c.appended); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.line, got, c.want)
		}
	}
	for line, want := range map[string]string{
		`x.exe|a b|>|2>&1`:     `command has ">", which only a shell understands, and no shell reads it (put the line into a .cmd file of its own, and name that)`,
		`x.exe|a > b|a"b|it's`: "",
		`x.exe|%TEMP%`:         `command has "%TEMP%", but variables are not expanded (write the value itself)`,
	} {
		words := strings.Split(line, "|")
		if got := NewList(words, `C:\x`, false).windowsSyntax(Command{Words: words}, false, false); got != want {
			t.Errorf("%q:\n%s, want\n%s", words, got, want)
		}
	}
}
