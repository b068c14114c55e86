package statsd

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/statsd_exporter/pkg/event"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

var (
	pageName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	goodLines = "\nzz.good:3|c|@0.5\nzz.good:1|c|#a:b"
)

// checkBatches holds batches to what sinks may rely on.
func checkBatches(t *testing.T, batches []*record.Batch) {
	t.Helper()
	for _, b := range batches {
		for i := range b.Samples {
			s := &b.Samples[i]
			if !pageName.MatchString(s.Name) || s.Meta == nil || s.Meta.Name != s.Name || s.Meta.ID == "" {
				t.Errorf("name %q, meta %+v", s.Name, s.Meta)
			}
			if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) || s.Op == record.Add && s.Value < 0 {
				t.Errorf("%s has the value %v", s.Name, s.Value)
			}
			if s.Op == record.Observe && !(s.Weight > 0 && s.Weight <= math.MaxFloat64) {
				t.Errorf("%s has the weight %v", s.Name, s.Weight)
			}
			if !slices.IsSortedFunc(s.Labels, func(a, b record.Label) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("labels %v", s.Labels)
			}
			for _, l := range s.Labels {
				if !pageName.MatchString(l.Name) || l.Value == "" {
					t.Errorf("label %q=%q", l.Name, l.Value)
				}
			}
		}
		for _, e := range b.Events {
			if e.ID == "" || e.Message == "" || e.Start.IsZero() || !e.Start.Equal(e.Stop) {
				t.Errorf("event %+v", e)
			}
		}
		reasons := make(map[string]int)
		for _, e := range record.LineErrors(b.Err) {
			if reasons[e.Reason]++; reasons[e.Reason] > maxFaults || len(e.Text) > maxFaultText || e.Reason == "" || e.Error() == "" {
				t.Errorf("refused %q %q: %v", e.Reason, e.Text, e)
			}
		}
	}
}

// FuzzPacket takes any packet: nothing panics, what comes of it is sound,
// and good lines behind it are worth what they are worth alone.
func FuzzPacket(f *testing.F) {
	for _, a := range cases.All(f, "testdata/cases") {
		f.Add(cases.Part(a.Archive, "in"))
	}
	var mappings []*mapping
	for _, a := range cases.All(f, "testdata/cases") {
		if a.Name == "mapping-observers" || a.Name == "mapping-glob" {
			mappings = append(mappings, mergeOf(f, string(cases.Part(a.Archive, "mapping.yml"))).mapping)
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if bytes.Contains(packet, []byte("zz")) || len(packet) > 1<<16 {
			t.Skip()
		}
		for _, mapping := range mappings {
			m := newMerge(testSource, mapping, new(receiver.Counts), epoch)
			m.packet(slices.Concat(packet, []byte(goodLines)), epoch)
			batches := m.flush(epoch)
			checkBatches(t, batches)
			good := make(map[string]float64)
			for _, b := range batches {
				for _, s := range b.Samples {
					if s.Name == "zz_good" {
						good[fmt.Sprint(s.Labels)] = s.Value
					}
				}
			}
			if good["[]"] != 6 || good["[{a b}]"] != 1 || len(good) != 2 {
				t.Errorf("the good lines come to %v", good)
			}
			if m.points != 0 {
				t.Errorf("%d points are left", m.points)
			}
			checkTogether(t, mapping, packet)
		}
	})
}

// checkTogether holds the lines of a packet, which are looked up together, to what they
// are worth in a packet each: also when there is no room for all series, and when they
// are known.
func checkTogether(t *testing.T, mapping *mapping, packet []byte) {
	t.Helper()
	together := newMerge(testSource, mapping, new(receiver.Counts), epoch)
	alone := newMerge(testSource, mapping, new(receiver.Counts), epoch)
	together.limit, alone.limit = 20, 20
	for range 2 {
		together.packet(packet, epoch)
		for line := range bytes.SplitSeq(packet, []byte("\n")) {
			alone.packet(line, epoch)
		}
		if diff := cmp.Diff(alone.dropped, together.dropped); diff != "" {
			t.Errorf("dropped, -alone +together:\n%s", diff)
		}
		none := new(receiver.Counts)
		if diff := cmp.Diff(describe(alone.flush(epoch), none), describe(together.flush(epoch), none)); diff != "" {
			t.Errorf("-alone +together:\n%s", diff)
		}
		if alone.targets.used != together.targets.used {
			t.Errorf("%d heads are kept of lines that come together, %d of the same alone", together.targets.used, alone.targets.used)
		}
	}
}

// The lines of all cases in one packet, in an order of their own each time.
func TestTogether(t *testing.T) {
	var lines [][]byte
	for _, a := range cases.All(t, "testdata/cases") {
		lines = append(lines, bytes.Split(cases.Part(a.Archive, "in"), []byte("\n"))...)
	}
	mapping := mergeOf(t, "").mapping
	for range 20 {
		rand.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		checkTogether(t, mapping, bytes.Join(lines, []byte("\n")))
	}
}

// FuzzPeer holds single lines to what statsd_exporter reads in them.
func FuzzPeer(f *testing.F) {
	f.Add("a.b", "x:y", "1", byte(0), byte(1))
	f.Add("a,x=y", "", "-2.5", byte(1), byte(0))
	f.Add("a#x=y,z=", "", "250:3", byte(2), byte(2))
	f.Add("a[x=y]b", "", "1e3", byte(3), byte(4))
	f.Add("1--ü", "1a:b,#c:d,,e,:f,g:", "0x1p4", byte(4), byte(3))
	kinds := []string{"c", "g", "ms", "h", "d"}
	rates := []string{"", "|@1", "|@0.5", "|@0.1", "|@0.25", "|@0"}
	peer, ours := newPeer(f, ""), mergeOf(f, "").mapping
	f.Fuzz(func(t *testing.T, name, tags, value string, kind, rate byte) {
		if strings.ContainsAny(name, ":\n\r") || strings.ContainsAny(tags, "|\n\r") || strings.ContainsAny(value, "|\n\r") ||
			name == "" || strings.HasPrefix(name, "_e{") || strings.HasPrefix(name, "_sc|") || len(name)+len(tags) > 4000 {
			t.Skip()
		}
		typ := kinds[int(kind)%len(kinds)]
		line := name + ":" + value + "|" + typ + rates[int(rate)%len(rates)]
		if tags != "" {
			line += "|#" + tags
		}
		want, panicked := peerReads(peer, line)
		// Its slip on a name with ]…[, and what it refuses: several values of a
		// counter or a gauge, and a line for one value that is not UTF-8.
		if panicked || !utf8.ValidString(value) || (typ == "c" || typ == "g") && strings.Contains(value, ":") {
			return
		}
		several := sample{head: head{name: []byte(name)}, values: []byte(value)}
		if strings.Contains(value, ":") && several.several() != nil { // which it takes in part
			return
		}
		if diff := cmp.Diff(want, weReads(ours, line)); diff != "" {
			t.Errorf("%q (-statsd_exporter +ours):\n%s", line, diff)
		}
	})
}

// peerReads is what statsd_exporter reads, with how often.
func peerReads(p *peer, line string) (read map[string]float64, panicked bool) {
	defer func() { panicked = recover() != nil }()
	read = make(map[string]float64)
	for _, e := range p.events(line) {
		relative := false
		if g, ok := e.(*event.GaugeEvent); ok {
			relative = g.GRelative
		}
		// What neither can show: a name of nothing, a value without end, a
		// counter that goes down.
		if v := e.Value(); e.MetricName() == "" || math.IsNaN(v) || math.IsInf(v, 0) || e.MetricType() == "counter" && v < 0 {
			continue
		}
		read[fmt.Sprintf("%s %q %v %v %v", e.MetricType(), e.MetricName(), e.Value(), relative, e.Labels())]++
	}
	return read, false
}

// weReads is the same of ours.
func weReads(mapping *mapping, line string) map[string]float64 {
	read := make(map[string]float64)
	name, rest, _ := strings.Cut(line, ":")
	s := sample{head: head{name: []byte(name)}, rate: 1}
	left, fault := s.cut([]byte(rest))
	if fault != nil || len(left) > 0 {
		return read
	}
	r, fault := mapping.route(&s.head)
	if fault != nil {
		return read
	}
	labels := make(map[string]string)
	for _, l := range r.labels {
		labels[l.Name] = l.Value
	}
	for text := range strings.SplitSeq(string(s.values), ":") {
		v, fault := parseNumber([]byte(text))
		if fault != nil {
			continue
		}
		kind, weight := s.kind.mapped(), 1.0
		switch s.kind {
		case typeCounter:
			if v /= s.rate; v < 0 || math.IsInf(v, 0) {
				continue
			}
		case typeTimer:
			v /= 1000
		}
		if kind == "observer" {
			weight = 1 / s.rate
		}
		relative := kind == "gauge" && strings.ContainsAny(text[:1], "+-")
		read[fmt.Sprintf("%s %q %v %v %v", kind, r.metric, v, relative, labels)] += weight
	}
	return read
}

// FuzzMapping takes any mapping file and any name: a file that is read
// makes sound names of it.
func FuzzMapping(f *testing.F) {
	for _, a := range cases.All(f, "testdata/cases") {
		if mapping := cases.Part(a.Archive, "mapping.yml"); mapping != nil {
			name, _, _ := strings.Cut(string(cases.Part(a.Archive, "in")), ":")
			f.Add(string(mapping), name)
		}
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		mapping, err := parseMapping("mapping.yml", []byte(text), time.Minute)
		if err != nil || strings.ContainsAny(name, ":\n") {
			t.Skip()
		}
		m := newMerge(testSource, mapping, new(receiver.Counts), epoch)
		for _, typ := range []string{"c", "g", "ms", "h", "d", "s"} {
			m.packet([]byte(name+":7|"+typ+"\n"), epoch)
			m.packet([]byte(name+":7|"+typ+"|#a:b\n"), epoch)
		}
		checkBatches(t, m.flush(epoch))
	})
}
