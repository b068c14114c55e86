package nagios

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/process"
)

func newRunner() *runner {
	newRunner, err := Dialect{}.Prepare(config.Options{})
	if err != nil {
		panic(err)
	}
	return newRunner(&dialect.Script{Script: &config.Script{}, FallbackInterval: time.Minute, FallbackTimeout: time.Minute}, dialect.Forgetful{}).(*runner)
}

// runOnce runs the plugin once, which comes to o.
func runOnce(t *testing.T, r *runner, o *process.Outcome) *dialect.Result {
	t.Helper()
	return r.Run(t.Context(), func(context.Context, dialect.Invocation) *process.Outcome { return o })
}

// The log is told when the state changes, the first one included.
func TestNagiosLog(t *testing.T) {
	r := newRunner()
	many := []string{"the state is WARNING: WARNING"}
	for range maxLog {
		many = append(many, "more")
	}
	for i, tt := range []struct {
		outcome *process.Outcome
		want    []string
		warns   bool
	}{
		{dialecttest.Exits(0, "OK: fine | a=1\nlong one\n", ""), []string{"the state is OK: OK: fine", "long one"}, false},
		{dialecttest.Exits(0, "OK: finer | a=1\nlong two\n", ""), nil, false},
		{dialecttest.Exits(4, "", ""), nil, false},
		{dialecttest.Exits(0, "OK\n", ""), nil, false}, // a failed run is no state
		{dialecttest.Exits(2, "CRITICAL\nlong \xff\n | a=1\n", ""), []string{"the state is CRITICAL: CRITICAL", "long \uFFFD"}, false},
		{dialecttest.Exits(3, "\n", ""), []string{"the state is UNKNOWN"}, true},
		{dialecttest.Exits(1, "WARNING\n"+strings.Repeat("more\n", maxLog+7), ""), append(many, "(7 more lines)"), false},
	} {
		turn := runOnce(t, r, tt.outcome)
		if diff := cmp.Diff(tt.want, turn.Log); diff != "" {
			t.Errorf("turn %d: log -want +got:\n%s", i, diff)
		}
		if (len(turn.Warnings) > 0) != tt.warns {
			t.Errorf("turn %d: warnings %q", i, turn.Warnings)
		}
	}
}

// A plugin that makes up units cannot fill the memory.
func TestNagiosManyUnits(t *testing.T) {
	r := newRunner()
	refused := 0
	for i := range 10 * maxUnits {
		uom := "q" + string(rune('a'+i/26%26)) + string(rune('a'+i%26)) + strings.Repeat("x", i/676)
		turn := runOnce(t, r, dialecttest.Exits(0, "OK | a=1"+uom+" b=1\n", ""))
		for _, le := range record.LineErrors(turn.Err) {
			if le.Reason != "too_many" || le.Err.Error() != `"a": the plugin has used 64 other units already` {
				t.Fatalf("line error %v", le)
			}
			refused++
		}
	}
	if want := 10*maxUnits - (maxUnits - 1); refused != want || len(r.units.families) != maxUnits {
		t.Errorf("%d refused, want %d; %d units", refused, want, len(r.units.families))
	}
}

func TestNagiosOptions(t *testing.T) {
	cfg, err := config.FromCommand(dialect.Table{Dialect{}}.Config(), "nagios", []string{"/bin/true"}, "/", map[string]string{"states": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := script.Resolve(dialect.Table{Dialect{}}, cfg); err == nil || !strings.Contains(err.Error(), "options.states is not known") {
		t.Errorf("error %v", err)
	}
}

// Whatever a line is made of, it is read in a time that grows with its length.
func TestNagiosLongLines(t *testing.T) {
	const n = 1 << 19
	for _, piece := range []string{"|", "a|", "| ", "'", "'a", "=", "a=", "a =", " =", ",", "1,", "a=1,", ",a", "|a=1,,", "a=1|", ";", "U"} {
		for _, begin := range []string{"", "OK | a=1", "OK |", "OK | a=1,"} {
			out := begin + strings.Repeat(piece, n/len(piece)) + "x"
			if said, _ := parse(newUnits(), 0, []byte(out), 0); len(said.samples) < 2 {
				t.Errorf("%q: %d samples", piece, len(said.samples))
			}
		}
	}
}
