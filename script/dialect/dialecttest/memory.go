package dialecttest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/testkit/cases"
)

// FuzzMemory holds a script's runs to what the same output says in a first run: what
// is remembered of earlier ones, whatever they were, changes nothing. newScript begins
// with a script that has not run, and gives what reads an output and shows all that was
// understood of it.
func FuzzMemory(f *testing.F, outputs [][]byte, newScript func() func(out []byte) string) {
	for i, out := range outputs {
		f.Add(outputs[(i+1)%len(outputs)], out)
		f.Add(out, out)
		f.Add(changed(out), out)
	}
	f.Fuzz(func(t *testing.T, before, out []byte) {
		want := newScript()(out)
		script := newScript()
		for _, earlier := range [][]byte{before, out, out[:len(out)/2], changed(out), bytes.Repeat(append(slices.Clip(out), '\n'), 2)} {
			script(bytes.Clone(earlier))
		}
		for range 2 {
			if diff := cmp.Diff(want, script(bytes.Clone(out))); diff != "" {
				t.Errorf("%q (-in a first run +after others):\n%s", out, diff)
			}
		}
	})
}

// changed has the lines of an output in another order, and a few of them missing or
// twice.
func changed(out []byte) []byte {
	lines := bytes.SplitAfter(append(slices.Clip(out), '\n'), []byte("\n"))
	slices.Reverse(lines)
	var all []byte
	for i, line := range lines {
		switch i % 4 {
		case 1:
			all = append(all, line...)
			fallthrough
		default:
			all = append(all, line...)
		case 3:
		}
	}
	return all
}

// Parts gives a part of all cases of a folder.
func Parts(tb testing.TB, folder, name string) (all [][]byte) {
	tb.Helper()
	for _, c := range cases.All(tb, folder) {
		all = append(all, cases.Part(c.Archive, name))
	}
	return all
}
