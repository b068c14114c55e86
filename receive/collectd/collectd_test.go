package collectd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// epoch is the time of all that the tests send.
var epoch = time.Unix(1_700_000_000, 0)

var testSource = &record.Source{Kind: record.Receiver, Name: "collectd", MaxSeries: 100, Verbatim: true}

func testMerge(t testing.TB, ttl time.Duration) *merge {
	t.Helper()
	types := make(typesDB)
	if err := types.read(strings.NewReader(receivertest.CollectdTypes), "types.db"); err != nil {
		t.Fatal(err)
	}
	return newMerge(testSource, new(receiver.Counts), 10*time.Second, ttl, types)
}

// Every case, from packets and requests to batches.
func TestPairs(t *testing.T) {
	cases.Run(t, "testdata/cases", func(t *testing.T, a *txtar.Archive, _ string) string { return play(t, a) }, "want")
}

func play(t testing.TB, a *txtar.Archive) string {
	t.Helper()
	var ttl time.Duration
	reader := packetReader{users: users{"alice": "secret"}}
	for line := range strings.Lines(string(a.Comment)) {
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "level":
			reader.least = securityLevels[value]
		case "ttl":
			ttl, _ = time.ParseDuration(value)
		case "users":
			reader.users = nil
		}
	}
	m := testMerge(t, ttl)
	var out strings.Builder
	show := func() {
		batches, warnings := m.drain(time.Now())
		describe(&out, batches)
		for _, what := range slices.Sorted(maps.Keys(warnings)) {
			fmt.Fprintf(&out, "told: %s: %v\n", warnings[what].msg, warnings[what].err)
		}
	}
	for _, f := range a.Files {
		switch f.Name {
		case "packet":
			reader.read(receivertest.CollectdPacket(t, string(f.Data)), m)
		case "json":
			if err := readJSON(f.Data, m.types, m); err != nil {
				fmt.Fprintf(&out, "refused as a whole: %v\n", err)
			}
		case "next":
			show()
			out.WriteString("---\n")
		}
	}
	show()
	for reason, n := range m.counts.View().Dropped {
		fmt.Fprintf(&out, "dropped %d: %s\n", n, reason)
	}
	return out.String()
}

// describe writes batches down.
func describe(out *strings.Builder, batches []*record.Batch) {
	for _, b := range batches {
		if b.MaxAge > 0 {
			fmt.Fprintf(out, "for %v:\n", b.MaxAge)
		}
		for _, s := range b.Samples {
			fmt.Fprintf(out, "%s %s", map[record.Type]string{record.Gauge: "gauge", record.Counter: "counter"}[s.Meta.Type], s.Name)
			for i, l := range s.Labels {
				fmt.Fprintf(out, "%c%s=%q", "{,"[min(i, 1)], l.Name, l.Value)
			}
			fmt.Fprintf(out, "} %s %v", map[record.Op]string{record.Set: "=", record.Add: "+="}[s.Op], s.Value)
			if !s.Time.IsZero() {
				fmt.Fprintf(out, " at %v", s.Time.Sub(epoch))
			}
			out.WriteByte('\n')
		}
		for _, e := range b.Events {
			fmt.Fprintf(out, "event %s %q from %v", e.Name, e.Message, e.Start.Sub(epoch))
			if !e.Stop.IsZero() {
				fmt.Fprintf(out, " to %v", e.Stop.Sub(epoch))
			}
			for _, a := range e.Attributes {
				fmt.Fprintf(out, " %s=%q", a.Name, a.Value)
			}
			out.WriteByte('\n')
		}
		for _, e := range record.LineErrors(b.Err) {
			fmt.Fprintf(out, "refused %s: %v", e.Reason, e)
			if e.More > 0 {
				fmt.Fprintf(out, " (and %d more)", e.More)
			}
			out.WriteByte('\n')
		}
	}
}
