package statsd

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"scriptbridge/record"
)

// Whatever a client counts, in the title and in the text alike or not, the
// event is what it meant.
func TestEventLengths(t *testing.T) {
	escape := func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }
	counts := map[string]func(string) int{
		"bytes":  func(s string) int { return len(s) },
		"runes":  utf8.RuneCountInString,
		"UTF-16": func(s string) int { return len(utf16.Encode([]rune(s))) },
	}
	ways := make(map[string]func(string) int)
	for name, count := range counts {
		ways[name] = func(s string) int { return count(escape(s)) }
		ways[name+" before it is escaped"] = count
	}
	titles := []string{"title", "crème", "東京", "🚀", "né🚀!", "two\nlines", "ü\n🚀"}
	texts := []string{"", "text", "Größe: 3", "a|b", "東京|a", "🚀🚀", "one\ntwo\n", "\nü\n🚀\n", "é|t:info", "|", "||é"}
	m := mergeOf(t, "")
	for wayOfTitle, countTitle := range ways {
		for wayOfText, countText := range ways {
			for _, title := range titles {
				for _, text := range texts {
					for _, tail := range []string{"", "|#a:b", "|d:1767322000|h:web-1|t:error|p:low|#a:b,c|c:ci-x"} {
						line := fmt.Sprintf("_e{%d,%d}:%s|%s%s", countTitle(title), countText(text), escape(title), escape(text), tail)
						e, fault := dogEvent([]byte(line), testSource, epoch)
						want := strings.TrimSuffix(title+"\n"+text, "\n")
						if text != "" {
							want = title + "\n" + text
						}
						switch {
						case fault != nil:
							t.Errorf("%s, %s in title and %s in text: %s", line, wayOfTitle, wayOfText, fault.text())
						case e.Message != want && !strings.Contains(text, "|"): // with one two readings may fit
							t.Errorf("%s, %s in title and %s in text: %q", line, wayOfTitle, wayOfText, e.Message)
						case e.Message != want && wayOfTitle == "bytes" && wayOfText == "bytes":
							t.Errorf("%s, as the protocol has it: %q", line, e.Message)
						}
					}
				}
			}
		}
	}
	m.packet([]byte(strings.Repeat("_e{7,1}:crème|x\n_e{5,1}:crème|x\n", 3)), epoch) // several in one packet
	if b := m.flush(epoch)[0]; len(b.Events) != 3 || m.faulty["malformed"] != 0 || len(record.LineErrors(b.Err)) != 3 {
		t.Errorf("%d events, %v", len(b.Events), b.Err)
	}
}
