package cmdline

import (
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the rules are those of winargs.Split, which has tests of its own")
	}
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"a", []string{"a"}},
		{"  a\tb \r\n c ", []string{"a", "b", "c"}},
		{`'a b' "c d"`, []string{"a b", "c d"}},
		{`a"b c"d`, []string{"ab cd"}},
		{`"it's" 'say "x"'`, []string{"it's", `say "x"`}},
		{`a "" ''`, []string{"a", "", ""}},
		{`C:\scripts\disks.exe "C:\my disk\"`, []string{`C:\scripts\disks.exe`, `C:\my disk\`}},
		{`a $HOME *.sh | b > c; d # e`, []string{"a", "$HOME", "*.sh", "|", "b", ">", "c;", "d", "#", "e"}},
		{"é\u00a0x", []string{"é\u00a0x"}},
	} {
		got, err := Parse(tt.line)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("Parse(%q) = %q, %v; want %q", tt.line, got, err, tt.want)
		}
	}
	for line, want := range map[string]string{
		"":          "command is empty",
		" \t\n":     "command is empty",
		`a "b`:      `command has a quote " that is not closed`,
		`a 'b" c`:   `command has a quote ' that is not closed`,
		`it's gone`: `command has a quote ' that is not closed`,
	} {
		if got, err := Parse(line); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %q, %v; want the error %s", line, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"", "a b", `'a b' "c d"`, `a"b c"d`, `a "`, "\x00 \xff"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Parse(line)
		if err != nil {
			if words != nil {
				t.Errorf("words %q beside the error %v", words, err)
			}
			return
		}
		if len(words) == 0 {
			t.Fatal("no words and no error")
		}
		if strings.ContainsAny(strings.Join(words, ""), `"'`) {
			return // cannot be quoted in turn
		}
		again, err := Parse(`"` + strings.Join(words, `" "`) + `"`)
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q is %q, which gives %q, %v", line, words, again, err)
		}
	})
}
