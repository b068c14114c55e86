package prometheus

import (
	"bytes"
	"slices"
	"testing"

	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// What is cheap to ask of every run is what the regular expressions say of each line.
func FuzzIsCertain(f *testing.F) {
	for _, out := range []string{
		"", "\n", "# EOF", "#EOF", " # EOF", "x\r# EOF\r\n", "# TYPE a gauge", "# TYPEa b\n", "OK - all is well # EOF | a=1\n",
		`a{b="c"} 1`, "a{} 1 2", "{} 1", "a {} 1", "x\ra{}} -1e5\r", "OK: {\"a\": 1} 2", "1a{} 1", "é{} 1", "a{\xff} Inf", "a{b=\"\n\"} 1", "a{} x", "# HELP a",
	} {
		f.Add([]byte(out))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		want := slices.ContainsFunc(lines.NotEmpty(out), func(line string) bool {
			return commentForm.MatchString(line) || labelledForm.MatchString(line)
		})
		if got := isCertain(out); got != want {
			t.Errorf("%q: %t, want %t", out, got, want)
		}
		if got := outputClue(&process.Outcome{Stdout: out}).Strength == dialect.Certain; got != want {
			t.Errorf("%q: its clue is certain: %t, want %t", out, got, want)
		}
	})
}

// Of an output of another dialect nothing is looked at line by line.
func TestIsCertainCheap(t *testing.T) {
	out := bytes.Repeat([]byte("some_label=1.5s\n"), 4096)
	if n := testing.AllocsPerRun(10, func() { isCertain(out) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
