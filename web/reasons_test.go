package web

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	markdownLink = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	codeWord     = regexp.MustCompile("`([a-z_]+)`")
)

// documented reads the tables of reasons in the docs. Rows that only name another page are
// left out: its own table is there as well.
func documented(t *testing.T) string {
	var all strings.Builder
	for _, from := range []struct{ section, file string }{
		{"", "metrics.md"}, {"prometheus", "prometheus-scripts.md"}, {"nagios", "nagios.md"}, {"statsd", "statsd.md"},
	} {
		text, err := os.ReadFile("../docs/" + from.file)
		if err != nil {
			t.Fatal(err)
		}
		rows, inTable := 0, false
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			begins := strings.HasPrefix(line, "| reason |")
			inTable = begins || inTable && strings.HasPrefix(line, "|")
			if !inTable || begins || strings.HasPrefix(line, "|-") {
				continue
			}
			cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, "\x00"), "|"), "|")
			for i, c := range cells {
				cells[i] = strings.ReplaceAll(markdownLink.ReplaceAllString(strings.TrimSpace(c), "$1"), "\x00", "|")
			}
			if cells = append(cells, ""); strings.HasPrefix(cells[2], "see ") && strings.HasSuffix(cells[2], ".md") {
				continue
			}
			var names []string
			for _, m := range codeWord.FindAllStringSubmatch(cells[0], -1) {
				names = append(names, m[1])
			}
			rows++
			all.WriteString(strings.Join([]string{from.section, strings.Join(names, " "), cells[1], cells[2]}, "\t") + "\n")
		}
		if rows < 5 {
			t.Errorf("%s: %d reasons", from.file, rows)
		}
	}
	return all.String()
}

// The page says of each reason what the docs say.
func TestReasonsAreTheDocs(t *testing.T) {
	want := documented(t)
	if *update {
		if err := os.WriteFile("page/reasons.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("page/reasons.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("page/reasons.txt (-docs +file; go test ./web -update writes it anew):\n%s", diff)
	}
}

// A reason on a page leads to its place on the page of reasons: that of its dialect where
// there is one.
func TestReasonLinks(t *testing.T) {
	f := shop()
	f.views[0].Last.Reasons = map[string]int{"undeclared": 1, "strange": 2}
	nagios := f.views[1]
	last := *nagios.Last
	last.Refused, last.Reasons = 2, map[string]int{"duplicate": 1, "max_series": 1}
	nagios.Last = &last
	f.views[1] = nagios
	h := handler(t, f.options())
	ids := make(map[string]bool)
	for d := range page(t, h, stranger("GET", "/reasons")).Descendants() {
		if id := attribute(d, "id"); id != "" && ids[id] {
			t.Errorf("two places are called %s", id)
		} else {
			ids[id] = true
		}
	}
	for target, want := range map[string]string{
		"/scripts/disks": "../reasons#type_conflict ../reasons#undeclared",
		"/scripts/mail":  "../reasons#nagios-duplicate ../reasons#max_series",
	} {
		var links []string
		for _, a := range find(find(page(t, h, stranger("GET", target)), "p.tally")[0], "a") {
			links = append(links, attribute(a, "href"))
			if _, id, _ := strings.Cut(attribute(a, "href"), "#"); !ids[id] {
				t.Errorf("%s: nothing is at %s", target, id)
			}
		}
		if got := strings.Join(links, " "); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
