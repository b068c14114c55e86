package config

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestWords places what a request says: exactly one word, or nothing at all.
func TestWords(t *testing.T) {
	s := loadText(t, `
scripts:
  - command: [./a.sh, "{host}", "--port={port}", "{free}", "{a}{b}", "{number}"]
    probe: true
    parameters:
      host: {pattern: "[a-z0-9.-]+"}
      port: {pattern: "[0-9]{1,5}|any", default: any}
      free: {pattern: ".*", default: ""}
      a: {pattern: "a*", default: a}
      b: {pattern: "-?b", default: b}
      number: {pattern: "-?[0-9]+", default: 0}
`).Scripts[0]
	if !s.ProbeOnly() {
		t.Error("host has no default, and yet the script is not for probes only")
	}
	const refused = `parameter "free" has characters that cannot be printed`
	for _, c := range []struct {
		values map[string][]string
		want   []string // the words behind the program
		err    string
	}{
		{map[string][]string{"host": {"db-1.example.org"}}, []string{"db-1.example.org", "--port=any", "", "ab", "0"}, ""},
		{map[string][]string{"host": {"h"}, "port": {"22"}, "a": {"aaa"}, "b": {"-b"}, "number": {"-7"}}, []string{"h", "--port=22", "", "aaa-b", "-7"}, ""},
		{map[string][]string{"host": {"h"}, "PATH": {"/tmp"}, "LD_PRELOAD": {"a", "b"}}, []string{"h", "--port=any", "", "ab", "0"}, ""},
		{map[string][]string{"host": {"h"}, "free": {`;rm -rf / $(x) "`}}, []string{"h", "--port=any", `;rm -rf / $(x) "`, "ab", "0"}, ""},
		{map[string][]string{"host": {"h"}, "free": {"{host}"}}, []string{"h", "--port=any", "{host}", "ab", "0"}, ""},
		{map[string][]string{"host": {"h"}, "free": {"$1 ${host} \\1"}}, []string{"h", "--port=any", "$1 ${host} \\1", "ab", "0"}, ""},
		{nil, nil, `parameter "host" is not given, and has no default`},
		{map[string][]string{"host": {"h", "h"}}, nil, `parameter "host" is given more than once`},
		{map[string][]string{"host": {""}}, nil, `parameter "host" does not match its pattern`},
		{map[string][]string{"host": {";rm -rf /"}}, nil, `parameter "host" does not match its pattern`},
		{map[string][]string{"host": {"$(id)"}}, nil, `parameter "host" does not match its pattern`},
		{map[string][]string{"host": {"a b"}}, nil, `parameter "host" does not match its pattern`},
		{map[string][]string{"host": {"a"}, "port": {"22222222"}}, nil, `parameter "port" does not match its pattern`},
		{map[string][]string{"host": {"-oproxy"}}, nil, `parameter "host" would begin its word with -, and so be an option`},
		{map[string][]string{"host": {"h"}, "free": {"--help"}}, nil, `parameter "free" would begin its word with -, and so be an option`},
		{map[string][]string{"host": {"h"}, "a": {""}, "b": {"-b"}}, nil, `parameter "a" would begin its word with -, and so be an option`},
		{map[string][]string{"host": {"h"}, "free": {"a\nb"}}, nil, refused},
		{map[string][]string{"host": {"h"}, "free": {"a\x00b"}}, nil, refused},
		{map[string][]string{"host": {"h"}, "free": {"\x1b[2J"}}, nil, refused},
		{map[string][]string{"host": {"h"}, "free": {"\xff"}}, nil, refused},
		{map[string][]string{"host": {"h"}, "free": {"\u202etxt"}}, nil, refused},
		{map[string][]string{"host": {strings.Repeat("h", 1024)}}, []string{strings.Repeat("h", 1024), "--port=any", "", "ab", "0"}, ""},
		{map[string][]string{"host": {strings.Repeat("h", 2048)}}, nil, `parameter "host" has 2048 bytes, more than 1024`},
		{map[string][]string{"port": {"x"}, "a": {"b"}}, nil, "parameter \"a\" does not match its pattern\nparameter \"host\" is not given, and has no default\nparameter \"port\" does not match its pattern"},
	} {
		got, err := s.Words(c.values)
		text := ""
		if err != nil {
			text = err.Error()
		} else {
			got = got[1:]
		}
		if !slices.Equal(got, c.want) || text != c.err {
			t.Errorf("%q\ngives %q, error %q\nwant  %q, error %q", c.values, got, text, c.want, c.err)
		}
	}
	if runtime.GOOS == "windows" {
		for _, begin := range []string{"/", "\u2013", "\u2014", "\u2015", "\u2212", "\uff0d", "\uff0f"} {
			_, err := s.Words(map[string][]string{"host": {"h"}, "free": {begin + "s"}})
			if err == nil || err.Error() != `parameter "free" would begin its word with `+begin+`, and so be an option on Windows` {
				t.Error(err)
			}
		}
	}
	plain := loadText(t, "scripts: [{command: [./a.sh, '{x}']}]").Scripts[0]
	if got, err := plain.Words(map[string][]string{"x": {"y"}}); err != nil || got[1] != "{x}" || plain.ProbeOnly() {
		t.Errorf("braces without parameters: %q, %v", got, err)
	}
}

// A default is judged where it stands in its word, as a value of a request is.
func TestParameterDefault(t *testing.T) {
	option := `the default of "a" would begin its word with -, and so be an option (begin the pattern with - if that is meant)`
	slash := `the default of "a" would begin its word with /, and so be an option on Windows (give it another one)`
	if runtime.GOOS != "windows" {
		slash = ""
	}
	for _, c := range []struct{ word, a, b, want string }{
		{"x{a}{b}", "-1", "-1", ""},
		{"{a}{b}", "1", "-1", ""},
		{"{a}{b}", "-1", "1", option},
		{"{a}{b}", "", "-1", option},
		{"{a}{b}", "/s", "1", slash},
		{"x{a}{b}", "/s", "/s", ""},
	} {
		_, err := tryText(t, fmt.Sprintf("scripts: [{command: [./a.sh, '%s'], probe: true, parameters: {a: {pattern: '.*', default: '%s'}, b: {pattern: '.*', default: '%s'}}}]", c.word, c.a, c.b))
		if (err == nil) != (c.want == "") || err != nil && !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s with %q and %q: %v, want %s", c.word, c.a, c.b, err, c.want)
		}
	}
}

// A pattern stands for the whole value, whatever is in it.
func TestParameterPattern(t *testing.T) {
	for pattern, values := range map[string]struct{ good, bad []string }{
		"a|ab":      {[]string{"a", "ab"}, []string{"abc", "b", "cab", ""}},
		"a*?":       {[]string{"", "aaa"}, []string{"ab"}},
		"^a$":       {[]string{"a"}, []string{"aa"}},
		"(?i)a":     {[]string{"A", "a"}, []string{"b"}},
		`\Qa.b`:     {[]string{"a.b"}, []string{"axb", "a.bc"}},
		"(?s).":     {[]string{"é"}, []string{"éé"}},
		"[^/]+":     {[]string{"a b"}, []string{"a/b"}},
		"(?m)^a|b$": {[]string{"a", "b"}, []string{"ab", "ba"}},
	} {
		s := loadText(t, "scripts: [{command: './a.sh x{p}', probe: true, parameters: {p: {pattern: '"+pattern+"'}}}]").Scripts[0]
		for _, v := range values.good {
			if words, err := s.Words(map[string][]string{"p": {v}}); err != nil || words[1] != "x"+v {
				t.Errorf("%q for %q: %q, %v", v, pattern, words, err)
			}
		}
		for _, v := range values.bad {
			if _, err := s.Words(map[string][]string{"p": {v}}); err == nil {
				t.Errorf("%q was taken for %q", v, pattern)
			}
		}
	}
}

// FuzzWords: whatever a request says, the command keeps its words, and each
// keeps what the configuration says of it.
func FuzzWords(f *testing.F) {
	f.Add("host", "-oProxyCommand=x")
	f.Add("a\nb", "\x00")
	f.Add("{free}", strings.Repeat("x", 1025))
	s := loadText(f, `
scripts:
  - command: [./a.sh, "{host}", "--x={free}y", "{free}"]
    probe: true
    parameters: {host: {pattern: "[a-z-]+"}, free: {pattern: ".*", default: ""}}
`).Scripts[0]
	f.Fuzz(func(t *testing.T, host, free string) {
		words, err := s.Words(map[string][]string{"host": {host}, "free": {free}})
		if err != nil {
			return
		}
		want := []string{s.Command[0], host, "--x=" + free + "y", free}
		if !slices.Equal(words, want) || strings.HasPrefix(host, "-") || strings.HasPrefix(free, "-") ||
			strings.ContainsAny(host+free, "\x00\n\r\x1b") || len(host) > 1024 || len(free) > 1024 {
			t.Errorf("%q and %q give %q", host, free, words)
		}
	})
}
