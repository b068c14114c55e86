package main

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/rogpeppe/go-internal/testscript"
)

// exposition is what Prometheus's own parser reads of a page.
type exposition struct {
	openMetrics bool
	values      map[string]float64 // by labels, the script's left out
	types, help map[string]string  // by the name of the family
}

// readExposition reads a page, or the part of it that a script made.
func readExposition(ts *testscript.TestScript, text, script string) exposition {
	e := exposition{
		openMetrics: strings.HasSuffix(text, "# EOF\n"),
		values:      map[string]float64{}, types: map[string]string{}, help: map[string]string{},
	}
	p := textparse.NewPromParser([]byte(text), labels.NewSymbolTable(), false)
	if e.openMetrics {
		p = textparse.NewOpenMetricsParser([]byte(text), labels.NewSymbolTable())
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return e
		}
		ts.Check(err)
		switch entry {
		case textparse.EntryType:
			name, typ := p.Type()
			e.types[string(name)] = string(typ)
		case textparse.EntryHelp:
			name, help := p.Help()
			e.help[string(name)] = string(bytes.Clone(help))
		case textparse.EntrySeries:
			_, _, value := p.Series()
			var ls labels.Labels
			p.Labels(&ls)
			if ls.Get("script") != script || strings.HasPrefix(ls.Get("__name__"), "scriptbridge_") {
				continue
			}
			key := labels.NewBuilder(ls).Del("script").Labels().String()
			if _, twice := e.values[key]; twice {
				ts.Fatalf("%s is there twice", key)
			}
			e.values[key] = value
		}
	}
}

// cmdUnchanged holds a page against what a script printed: the same samples,
// and in the same format the same types and help.
func cmdUnchanged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: unchanged OUTPUT PAGE SCRIPT")
	}
	output := readExposition(ts, ts.ReadFile(args[0]), "")
	page := readExposition(ts, ts.ReadFile(args[1]), args[2])
	same := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
	if diff := cmp.Diff(output.values, page.values, same); diff != "" {
		ts.Fatalf("the samples differ (-printed +shown):\n%s", diff)
	}
	ts.Logf("%d samples are the same", len(output.values))
	if output.openMetrics != page.openMetrics {
		return
	}
	for name, typ := range output.types {
		// What Python prints as a gauge of its own is a part of its counter,
		// and two types are shown as what comes closest.
		if strings.HasSuffix(name, "_created") || typ == "stateset" || typ == "gaugehistogram" {
			continue
		}
		if page.types[name] != typ || page.help[name] != output.help[name] {
			ts.Fatalf("%s is a %q (%q), shown as %q (%q)", name, typ, output.help[name], page.types[name], page.help[name])
		}
	}
}
