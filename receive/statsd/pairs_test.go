package statsd

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

// epoch is the time of tests that need none.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var testSource = &record.Source{Kind: record.Receiver, Name: "statsd", MaxSeries: 10000, Verbatim: true}

// mergeOf is a merge with the mapping of a case.
func mergeOf(t testing.TB, mapping string) *merge {
	t.Helper()
	m, err := parseMapping("mapping.yml", []byte(mapping), 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return newMerge(testSource, m, new(receiver.Counts), epoch)
}

// Every case, from a packet to the batches that it becomes.
func TestPairs(t *testing.T) {
	cases.Run(t, "testdata/cases", func(t *testing.T, a *txtar.Archive, _ string) string {
		m := mergeOf(t, string(cases.Part(a, "mapping.yml")))
		m.packet(cases.Part(a, "in"), epoch)
		return describe(m.flush(epoch), m.counts)
	}, "want")
}

// describe writes batches down.
func describe(batches []*record.Batch, counts *receiver.Counts) string {
	var out strings.Builder
	for _, b := range batches {
		for i := range b.Samples {
			describeSample(&out, &b.Samples[i])
			if ttl := b.MaxAge - flushInterval; ttl != 5*time.Minute {
				fmt.Fprintf(&out, " for %v", ttl)
			}
			out.WriteByte('\n')
		}
		for _, e := range b.Events {
			fmt.Fprintf(&out, "event %s %q %s %d-%d %s", e.Name, e.Message, e.Subject.Kind, e.Start.Unix(), e.Stop.Unix(), e.Subject.Name)
			for _, a := range e.Attributes {
				fmt.Fprintf(&out, " %s=%q", a.Name, a.Value)
			}
			out.WriteByte('\n')
		}
		for _, e := range record.LineErrors(b.Err) {
			fmt.Fprintf(&out, "refused %s: %q: %v", e.Reason, e.Text, e)
			if e.More > 0 {
				fmt.Fprintf(&out, " (and %d more)", e.More)
			}
			out.WriteByte('\n')
		}
	}
	for reason, n := range counts.View().Dropped {
		fmt.Fprintf(&out, "dropped %d: %s\n", n, reason)
	}
	return out.String()
}

func describeSample(out *strings.Builder, s *record.Sample) {
	fmt.Fprintf(out, "%s %s", map[record.Op]string{record.Set: "set", record.Add: "add", record.Observe: "observe"}[s.Op], s.Name)
	for i, l := range s.Labels {
		fmt.Fprintf(out, "%c%s=%q", "{,"[min(i, 1)], l.Name, l.Value)
	}
	if len(s.Labels) > 0 {
		out.WriteByte('}')
	}
	fmt.Fprintf(out, " %v", s.Value)
	if s.Weight != 0 && s.Weight != 1 {
		fmt.Fprintf(out, " x %v", s.Weight)
	}
	switch s.Meta.Type {
	case record.Histogram:
		fmt.Fprintf(out, " buckets %v", s.Meta.More().Buckets)
	case record.Summary:
		fmt.Fprintf(out, " quantiles %v", s.Meta.More().Quantiles)
	}
	if s.Meta.ID != s.Name {
		fmt.Fprintf(out, " from %s", s.Meta.ID)
	}
	if s.Meta.Help != defaultHelp {
		fmt.Fprintf(out, " help %q", s.Meta.Help)
	}
}

// The example, and what the page about StatsD shows, can be read and do what
// they say.
func TestExampleMapping(t *testing.T) {
	text, err := os.ReadFile("../../examples/statsd/mapping.yml")
	if err != nil {
		t.Fatal(err)
	}
	m := mergeOf(t, string(text))
	m.packet([]byte("shop.checkout.paypal.success:1|c\nshop.request.cart.GET:320|ms\ncache.size_kb:512|g\nbatch.nightly.rows:12000|g\ndb-3.pool.busy:7|g\ndebug.x:1|c\n"), epoch)
	want := `add checkouts_total{outcome="success",provider="paypal",site="shop"} 1 from shop.checkout.paypal.success help "Finished checkouts."
observe request_duration_seconds{method="GET",page="cart",site="shop"} 0.32 buckets [0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5] from shop.request.cart.GET help "Time from the first byte of a request to the last of its answer."
set cache_size_bytes 524288 from cache.size_kb
set pool_busy_connections{host="db-3"} 7 from db-3.pool.busy
set batch_rows{batch="nightly"} 12000 from batch.nightly.rows for 25h0m0s
dropped 1: mapping
`
	if diff := cmp.Diff(want, describe(m.flush(epoch), m.counts)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	page, err := os.ReadFile("../../docs/statsd.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```yaml\nmappings:")
	shown, _, _ = strings.Cut(shown, "```")
	m = mergeOf(t, "mappings:"+shown)
	m.packet([]byte("shop.checkout.paypal.success:1|c"), epoch)
	want = "add checkouts_total{outcome=\"success\",provider=\"paypal\",site=\"shop\"} 1 from shop.checkout.paypal.success\n"
	if got := describe(m.flush(epoch), m.counts); got != want {
		t.Errorf("the page's: %s", got)
	}
}

// Which labels a mapping made of a name, and which the client sent: uploads that
// go by the client's name need only these.
func TestMapped(t *testing.T) {
	m := mergeOf(t, "mappings:\n- match: shop.*.*\n  name: shop\n  honor_labels: true\n  labels: {provider: $1, outcome: $2}\n")
	m.packet([]byte("shop.paypal.success:1|c\nshop.paypal.success:1|c|#by:ann\nshop.paypal.success:1|c|#outcome:theirs\nother:1|c|#a:b"), epoch)
	got := make(map[string][]string)
	for _, s := range m.flush(epoch)[0].Samples {
		got[fmt.Sprint(s.Labels)] = s.Meta.Native.Mapped
	}
	want := map[string][]string{
		"[{outcome success} {provider paypal}]": {"outcome", "provider"}, "[{by ann} {outcome success} {provider paypal}]": {"outcome", "provider"},
		"[{outcome theirs} {provider paypal}]": {"provider"}, "[{a b}]": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Names for uploads are the daemon's.
func TestDaemonName(t *testing.T) {
	for id, want := range map[string]string{
		"web.hits": "web.hits", "a/b  c-d": "a-b_c-d", "Grüße(x):": "Grex", "ключ": "ключ", "a/b \tc,d.é.x:y": "a-b_cd..xy", "日,本": "日,本", "x ": "x_", "..": "..", ".": ".",
	} {
		if got := daemonName(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

// A timer's values were milliseconds to the daemon; of one that a mapping scales
// only the mapping knows.
func TestNativeUnit(t *testing.T) {
	m := mergeOf(t, "mappings:\n- {match: scaled, name: scaled, scale: 0.001}\n")
	m.packet([]byte("a.b:7|ms\nscaled:7|ms\nsize:7|h\nqueue:7|g"), epoch)
	got := make(map[string]string)
	for _, s := range m.flush(epoch)[0].Samples {
		got[s.Meta.Native.Program+" "+s.Meta.Native.Name] = s.Meta.Unit + " " + s.Meta.Native.Unit
	}
	want := map[string]string{"StatsD a.b": "seconds ms", "StatsD scaled": " ", "StatsD size": " ", "StatsD queue": " "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
