package script

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/process"
)

// BenchmarkLimitWay shows what a line costs from the output of a run, which no process
// prints here, to the page's series: read, judged and put.
func BenchmarkLimitWay(b *testing.B) {
	dialecttest.WayOfLines(b,
		way("coscale", "", func(i int) string { return fmt.Sprintf(`M1 "1:eth%d,2:in" %d`, i, i) }),
		way("instrumental", "", func(i int) string { return fmt.Sprintf("some.metric.%d %d.5", i, i) }),
		way("nagios", "OK - all is well\nmore |", func(i int) string { return fmt.Sprintf("some_label_%d=%d.5s", i, i) }),
		way("prometheus", "# TYPE traffic_bytes_total counter\n", func(i int) string {
			return fmt.Sprintf(`traffic_bytes_total{device="eth%d",direction="in"} %d`, i, i*1000)
		}),
	)
}

func way(name, head string, line func(i int) string) dialecttest.Reading {
	const declared = `{"metrics": [{"id": 1, "name": "Traffic", "dimensions": [{"id": 1, "name": "interface"}, {"id": 2, "name": "direction"}]}]}`
	return dialecttest.Reading{
		Kind: name,
		Output: func(lines int) []byte {
			out := bytes.NewBufferString(head)
			for i := range lines {
				fmt.Fprintln(out, line(i))
			}
			return out.Bytes()
		},
		New: func(tb testing.TB) func([]byte) int {
			d, err := all.Dialects.Find(name)
			if err != nil {
				tb.Fatal(err)
			}
			newRunner, err := d.Prepare(config.Options{})
			if err != nil {
				tb.Fatal(err)
			}
			traits := d.Traits()
			s := &Script{
				Script: dialect.Script{
					Script:           &config.Script{Name: "s", Command: []string{"/nowhere/s"}, Settings: config.Settings{MaxSeries: 1_000_000}},
					FallbackInterval: time.Minute, FallbackTimeout: 5 * time.Second, File: "/nowhere/s",
				},
				dialect: d, aligned: traits.Aligned, table: all.Dialects,
				Source: &record.Source{Kind: record.Script, Name: "s", Prefix: traits.Prefix, Verbatim: traits.Verbatim},
			}
			runner, judge := newRunner(&s.Script, dialect.Forgetful{}), newJudge(s)
			tb.Cleanup(runner.Close)
			sinks := record.Tee{collector.New(collector.Options{Registry: prometheus.NewRegistry()})}
			return func(out []byte) int {
				result := runner.Run(tb.Context(), func(_ context.Context, in dialect.Invocation) *process.Outcome {
					o := &process.Outcome{Result: record.OK, Stdout: out, Start: time.Now(), End: time.Now()}
					if len(in.Args) > 0 && in.Args[0] == "-c" {
						o.Stdout = []byte(declared)
					}
					return o
				})
				batch, verdict := judge.judge(result, s.Source, 0)
				if err := sinks.Put(batch); err != nil || verdict.Err != nil {
					tb.Fatal(err, verdict.Err)
				}
				n := len(batch.Samples)
				if result.Answer != nil {
					n -= 2 // the state and its text
				}
				return n
			}
		},
	}
}
