package collectd

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The series that the page on collectd shows are those of a pair's packet.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/collectd.md")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := os.ReadFile("testdata/cases/names.txtar")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("`(collectd_[a-z0-9_]+\\{[^`]*\\})`").FindAllSubmatch(page, -1)
	for _, m := range shown {
		if !strings.Contains(string(pair), " "+string(m[1])+" ") {
			t.Errorf("no packet of names.txtar becomes %s", m[1])
		}
	}
	if len(shown) < 4 {
		t.Errorf("only %d series were found", len(shown))
	}
}
