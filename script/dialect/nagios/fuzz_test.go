package nagios

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/internal/units"
	"scriptbridge/record"
	"scriptbridge/script/dialect/dialecttest"
)

// garbage is performance data that makes no sample.
const garbage = " bad = =1 ''=1 'x'y x=1,5 x=abc x=U x=1.2.3 "

func FuzzNagios(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		state, out := caseOf(f, c.Archive)
		f.Add(state, out)
	}
	f.Fuzz(func(t *testing.T, state int, out []byte) {
		state &= 3
		said, err := parse(newUnits(), state, out, 0)
		lines := bytes.Count(out, []byte("\n")) + 1
		checkSamples(t, state, lines, said.samples)
		for _, le := range record.LineErrors(err) {
			if le.Line < 1 || le.Line > lines || le.Reason == "" || le.Err == nil || !bytes.Contains(out, []byte(le.Text)) {
				t.Errorf("line error %+v", le)
			}
		}

		// An item stands for itself: garbage in front of the performance data
		// costs nothing.
		at := bytes.IndexByte(out, '|')
		line, _, _ := bytes.Cut(out[bytes.LastIndexByte(out[:max(at, 0)], '\n')+1:], []byte("\n"))
		if text, data, stroke := cutData(string(line)); !stroke || strings.IndexByte(text, '|') >= 0 || !hasItem(data, len(data)) {
			return
		}
		worse := append(append(bytes.Clone(out[:at+1]), garbage...), out[at+1:]...)
		again, _ := parse(newUnits(), state, worse, 0)
		if diff := cmp.Diff(said.samples, again.samples); diff != "" {
			t.Errorf("garbage in front changes samples:\n%s", diff)
		}
	})
}

func FuzzNagiosMemory(f *testing.F) {
	outputs := append(dialecttest.Parts(f, "testdata", "output"), []byte("OK | a=1MB;2;3 b=5%;~:10;@5:6 a=1s\na=2 | x=1ms 'a b'=2c a=1MB 'a''b'=3kpps\n"), []byte("text\n| b=1,234,567 c=1.5e3us;1e2;;0 a=1kpps a=U b=Us\n"),
		[]byte("OK | a=1TPS b=2Tps c=3tps d=Utps e=Utp\n"))
	dialecttest.FuzzMemory(f, outputs, func() func([]byte) string {
		table := newUnits()
		return func(out []byte) string {
			// Three things are meant to be remembered: which units there are, for U of a
			// unit; how many, for the bound; and how one was spelt first, which is the
			// same in a name.
			if len(table.families) > maxUnits/2 {
				table.families = make(map[family][]*record.Meta)
			}
			return dumpAs(table, 1, bytes.ReplaceAll(out, []byte("U"), []byte("u")), func(unit string) string {
				return units.Join(units.Name(unit))
			})
		}
	})
}

func checkSamples(t *testing.T, state, lines int, samples []record.Sample) {
	t.Helper()
	if len(samples) < 2 || samples[0].Value != float64(state) || len(samples[1].Labels[1].Value) > maxStatus {
		t.Fatalf("samples %+v", samples)
	}
	seen := make(map[string]bool)
	for i, s := range samples {
		if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) || s.Meta == nil || s.Name != s.Meta.Name {
			t.Errorf("sample %+v", s)
		}
		if s.Line > lines || s.Line < 1 && i > 1 {
			t.Errorf("line %d of %d", s.Line, lines)
		}
		key := fmt.Sprintf("%s %s %q", s.Name, units.Join(units.Name(s.Meta.Unit)), s.Labels)
		if seen[key] {
			t.Errorf("series %s twice", key)
		}
		seen[key] = true
	}
}

// BenchmarkNagios reads what check_disk prints on a machine of 100 mounts.
func BenchmarkNagios(b *testing.B) {
	var out strings.Builder
	out.WriteString("DISK OK - free space: |")
	for i := range 100 {
		fmt.Fprintf(&out, " /srv/volume%02d=%dMB;5948;5958;0;5968", i, 2643+i)
	}
	text, units := []byte(out.String()), newUnits()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if said, err := parse(units, 0, text, 0); err != nil || len(said.samples) != 502 {
			b.Fatal(len(said.samples), err)
		}
	}
}
