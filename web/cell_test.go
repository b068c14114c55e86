package web

import (
	"strings"
	"testing"
)

// TestCellsEscape: whatever a text holds, a cell has the same elements and
// attributes.
func TestCellsEscape(t *testing.T) {
	const harmless, hostile = "text", `"'><script>alert(1)</script><!--&amp;` + "\x00"
	for name, make := range map[string]func(string) cell{
		"text":    textCell,
		"heading": func(s string) cell { return headingCell(s, s) },
		"time":    func(s string) cell { return timeCell(shownTime{Text: s, Exact: s, ISO: s}) },
		"badge":   func(s string) cell { return badgeCell(badge{Class: s, Sign: s, Word: s}) },
		"note":    noteCell,
		"codes":   func(s string) cell { return codesCell(s, s) },
		"small":   textCell("").small,
		"tag":     textCell("").tag,
	} {
		marks := func(text string) string {
			var b strings.Builder
			make(text).append(&b, "")
			return strings.Map(func(r rune) rune {
				if strings.ContainsRune("<>\"'\x00", r) {
					return r
				}
				return -1
			}, strings.ReplaceAll(b.String(), "<wbr>", ""))
		}
		if got, want := marks(hostile), marks(harmless); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
