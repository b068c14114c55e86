package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const example = `# a script for CoScale's agent
if ($args[0] -eq "-c") {
    Write-Output @"
{"metrics": [{"id": 1, "unit": ""}]}
"@
} elseif ($args[0] -eq '-d') {
    $n = 4
    Write-Output "M1 $n"
}
else {
    [Console]::Error.WriteLine('usage: -c or -d')
    exit 3
}
`

// TestPowershell holds how a command line is read.
func TestPowershell(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "my script.ps1")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	bypass := []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File", path}
	for _, c := range []struct {
		args       []string
		want, errs string
		failure    string
	}{
		{append(bypass, "-c"), "{\"metrics\": [{\"id\": 1, \"unit\": \"\"}]}\r\n", "", ""},
		{append(bypass, "-d"), "M1 4\r\n", "", ""},
		{append(bypass, "-x"), "", "usage: -c or -d\r\n", "exit 3"},
		{[]string{"-ep", "bypass", "-c", "& '" + path + "' -d"}, "M1 4\r\n", "", ""},
		{[]string{"-ep", "bypass", "& '" + path + "' -x"}, "", "usage: -c or -d\r\n", "exit 1"},
		{[]string{"-File", path, "-d"}, "M1 4\r\n", "", ""},
		{[]string{"-ExecutionPolicy", "Restricted", "-File", path}, "", "", path + " cannot be loaded because running scripts is disabled on this system (-ExecutionPolicy restricted)"},
		{nil, "", "", "it is given nothing to run, and would wait for a person"},
		{[]string{"-Frob"}, "", "", "the option -frob is not known here"},
		{[]string{"-ep", "bypass", path, "-d"}, "", "", `-Command "` + path + ` -d": only a script is known here`},
		{[]string{"Get-Process"}, "", "", `-Command "Get-Process": only a script is known here`},
	} {
		var out, errs strings.Builder
		err := powershell(c.args, &out, &errs)
		if err == nil {
			err = errors.New("")
		}
		if out.String() != c.want || errs.String() != c.errs || strings.ReplaceAll(err.Error(), `\\`, `\`) != c.failure {
			t.Errorf("%q: %q, %q, %v", c.args, out.String(), errs.String(), err)
		}
	}
}

// TestStatements holds what a script may say.
func TestStatements(t *testing.T) {
	for _, c := range []struct{ text, want, failure string }{
		{"param([switch]$c, [string]$name)\r\nif ($c) { Write-Output \"c of $name\" }", "c of x\r\n", ""},
		{"'it''s'; \"a `\"b`\" \"\"c\"\"\"", "it's\r\na \"b\" \"c\"\r\n", ""},
		{"Write-Output ('a' + 1 + $args.Count) # no more", "a13\r\n", ""},
		{"Get-Process", "", `s:1: "Get-Process" is not known here`},
		{"\n\nWrite-Output a | b", "", `s:3: "| b" is not known here`},
		{"if ($args[0] -ne '-c') { exit", "", `s:1: "" is not known here at the end: a block is not closed`},
	} {
		var out strings.Builder
		s := &script{path: "s", args: []string{"-c", "-name", "x"}, out: &out, errs: &out, vars: make(map[string]value)}
		err := s.run(c.text)
		if err == nil {
			err = errors.New("")
		}
		if out.String() != c.want || err.Error() != c.failure {
			t.Errorf("%q: %q, %v", c.text, out.String(), err)
		}
	}
}
