package remotewrite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"

	"scriptbridge/config"
	"scriptbridge/upload/spool"
)

// sample is one value on its way out.
type sample struct {
	labels labels.Labels
	value  float64
	at     int64 // Unix milliseconds
	began  int64 // likewise, of what it is a sum; 0 where that is not known
	family *family

	// line and ending are as in the entry, for what is set aside.
	line   []byte
	ending bool
}

// family is what a request says of a metric.
type family struct {
	name, help, unit string
	kind             model.MetricType
}

// group is what is sent of one entry.
type group struct {
	key     spool.Key
	items   int
	samples []sample
}

// reader makes samples of entries.
type reader struct {
	labels   string // tells what it makes of labels from what another one does
	external []labels.Label
	relabel  []*relabel.Config
	builder  *labels.Builder
	table    *labels.SymbolTable
}

func newReader(external map[string]string, rules []*relabel.Config) *reader {
	r := &reader{labels: config.Fingerprint(nil, external, rules), relabel: rules, builder: labels.NewBuilder(labels.EmptyLabels()), table: labels.NewSymbolTable()}
	labels.FromMap(external).Range(func(l labels.Label) { r.external = append(r.external, l) })
	return r
}

// another is the same one for another goroutine.
func (r *reader) another() *reader {
	o := *r
	o.builder, o.table = labels.NewBuilder(labels.EmptyLabels()), labels.NewSymbolTable()
	return &o
}

// read makes the samples of an entry. dropped is how many the rules of relabelling left
// out.
func (r *reader) read(from spool.Entry) (g group, dropped int, err error) {
	g = group{key: from.Key, items: from.Items}
	e, err := parseEntry(from.Data)
	if err != nil {
		return g, 0, err
	}
	at := from.Key.Time().UnixMilli()
	for _, part := range []struct {
		text  []byte
		began int64
	}{{e.text, 0}, {e.sums, e.began}} {
		n, err := r.page(&g, part.text, at, part.began, e.renewed)
		if err != nil {
			return g, 0, err
		}
		dropped += n
	}
	live := len(g.samples)
	bare := *r // which have their labels already
	bare.external, bare.relabel = nil, nil
	_, err = bare.page(&g, e.ended, at, 0, false)
	if err != nil {
		return g, 0, err
	}
	for i := live; i < len(g.samples); i++ {
		g.samples[i].value, g.samples[i].ending = math.Float64frombits(value.StaleNaN), true
	}
	return g, dropped, nil
}

// page reads families as a scrape does.
func (r *reader) page(g *group, text []byte, at, began int64, renewed bool) (dropped int, err error) {
	text, kinds := untyped(text)
	p := textparse.NewOpenMetricsParser(append(text, "# EOF\n"...), r.table)
	none := new(family)
	now := none
	about := func(name []byte) *family { // what the page says of it comes in several lines
		if now == none || now.name != string(name) {
			now = &family{name: string(name)}
		}
		return now
	}
	var ls labels.Labels
	for {
		what, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return dropped, nil
		case err != nil:
			return 0, err
		}
		switch what {
		case textparse.EntryHelp:
			name, help := p.Help()
			about(name).help = string(help)
		case textparse.EntryType:
			name, _ := p.Type()
			about(name).kind = kinds[string(name)]
		case textparse.EntryUnit:
			name, unit := p.Unit()
			about(name).unit = string(unit)
		case textparse.EntrySeries:
			series, own, v := p.Series()
			if own != nil && renewed {
				continue
			}
			p.Labels(&ls)
			out, keep := r.outward(ls)
			if !keep {
				dropped++
				continue
			}
			s := sample{labels: out, value: v, at: at, began: began, family: now, line: lineOf(series, v, own)}
			if own != nil {
				s.at = *own
			}
			g.samples = append(g.samples, s)
		}
	}
}

// untyped gives families without their types, and those by their names. The parser spells
// the bounds of a histogram or summary anew, as 1.0 for 1; to Prometheus before 3.0, which does
// not, that would be another series than the one it scrapes.
func untyped(text []byte) (bare []byte, kinds map[string]model.MetricType) {
	bare, kinds = make([]byte, 0, len(text)+8), make(map[string]model.MetricType)
	for line := range bytes.Lines(text) {
		words := bytes.Fields(line)
		if !bytes.HasPrefix(line, kindPrefix) || len(words) != 4 {
			bare = append(bare, line...)
			continue
		}
		kinds[string(words[2])] = model.MetricType(words[3])
		bare = append(append(append(bare, kindPrefix...), words[2]...), " unknown\n"...)
	}
	return bare, kinds
}

// outward gives the labels that a destination sees; false where it does not want the
// series. An external label gives way to one that the series has, as in Prometheus.
func (r *reader) outward(ls labels.Labels) (labels.Labels, bool) {
	if len(r.external)+len(r.relabel) == 0 {
		return ls, true
	}
	r.builder.Reset(ls)
	for _, l := range r.external {
		if !ls.Has(l.Name) {
			r.builder.Set(l.Name, l.Value)
		}
	}
	if !relabel.ProcessBuilder(r.builder, r.relabel...) {
		return labels.EmptyLabels(), false
	}
	out := r.builder.Labels()
	return out, !out.IsEmpty()
}

// lineOf is a line of the page.
func lineOf(series []byte, v float64, own *int64) []byte {
	line := append(append(make([]byte, 0, len(series)+40), series...), ' ')
	line = strconv.AppendFloat(line, v, 'g', -1, 64)
	if own != nil {
		line = strconv.AppendFloat(append(line, ' '), float64(*own)/1000, 'f', 3, 64)
	}
	return append(line, '\n')
}

// aside is what is kept of samples of one entry that were refused: an entry that has
// these alone, and the first of them for people.
func aside(why error, key spool.Key, refused []sample) spool.Aside {
	var e entry
	for i := range refused {
		s, to := &refused[i], &e.text
		switch {
		case s.ending:
			to = &e.ended
		case s.began != 0:
			to, e.began = &e.sums, s.began
		}
		if i == 0 || refused[i-1].family != s.family || len(*to) == 0 {
			*to = s.family.appendHeader(*to)
		}
		*to = append(*to, s.line...)
	}
	first := refused[0]
	shown, _ := json.Marshal(map[string]any{ // of texts and a number: it cannot fail
		"series": first.labels.String(), "value": strconv.FormatFloat(first.value, 'g', -1, 64),
		"time": time.UnixMilli(first.at).UTC().Format(time.RFC3339Nano), "samples": len(refused),
	})
	return spool.Aside{Why: why, Shown: shown, Items: len(refused), At: key.Time(), Entry: e.append(nil)}
}

// appendHeader appends what a page says of the family.
func (f *family) appendHeader(dst []byte) []byte {
	for _, line := range [][2]string{{"HELP", helpEscaper.Replace(f.help)}, {"TYPE", string(f.kind)}, {"UNIT", f.unit}} {
		if f.name != "" && line[1] != "" {
			dst = fmt.Appendf(dst, "# %s %s %s\n", line[0], f.name, line[1])
		}
	}
	return dst
}

var helpEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
