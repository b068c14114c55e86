package script

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/process/processtest"
)

// grace is how long the end of a run may take, on a busy machine.
const grace = 17 * time.Second

// runDialects runs a script of every dialect once, all at the same time, and
// gives what became of each by the dialect's name.
func runDialects(ctx context.Context, t *testing.T, timeout time.Duration, body func(c contract) string) map[string]View {
	t.Helper()
	dir := t.TempDir()
	var conf strings.Builder
	conf.WriteString("scripts:\n")
	for _, d := range all.Dialects {
		c, ok := contracts[d.Name()]
		if !ok {
			t.Fatalf("%s has no entry in contracts", d.Name())
		}
		if c.folder { // it starts no process
			continue
		}
		name, entry := d.Name()+".sh", "command: ./"+d.Name()+".sh"
		if c.kept {
			name, entry = d.Name()+"_module.py", fmt.Sprintf("name: %s, interval: 1s, options: {module: %[1]s_module}", d.Name())
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(c.script(body(c))), 0o700); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&conf, "  - {dialect: %s, timeout: %s, %s}\n", d.Name(), timeout, entry)
	}
	file := filepath.Join(dir, "scriptbridge.yml")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(all.Dialects.Config(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	scripts, problems, err := Resolve(all.Dialects, cfg)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	p := NewPool(&memory{}, processtest.Logger(t), len(scripts))
	defer p.Close()
	views := make(map[string]View)
	for _, v := range p.Once(ctx, scripts) {
		views[v.Script.Name] = v
	}
	return views
}

// processDialects is how many dialects start processes.
func processDialects() (n int) {
	for _, c := range contracts {
		if !c.folder {
			n++
		}
	}
	return n
}

// awaitGone waits until no process with tag among its arguments lives.
func awaitGone(t *testing.T, tag string) {
	t.Helper()
	for deadline := time.Now().Add(grace); len(processtest.Holding(tag)) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("processes %v live", processtest.Holding(tag))
		}
		<-time.After(10 * time.Millisecond)
	}
}

// What a run leaves behind, in its group or out of it, ends with the run, and
// its samples are none the worse for it.
func TestDialectsLeaveNothing(t *testing.T) {
	tag := processtest.Tag()
	views := runDialects(t.Context(), t, time.Minute, func(c contract) string {
		return fmt.Sprintf("sleep %s &\nsetsid sleep %[1]s &\ncat <<'EOF'\n%sEOF\n", tag, c.good)
	})
	for name, v := range views {
		if v.Last == nil || v.Last.Result != record.OK || v.Last.Samples != contracts[name].samples {
			t.Errorf("%s: verdict %+v", name, v.Last)
		}
	}
	awaitGone(t, tag)
}

// hanging is a script that does not end, deaf to TERM.
func hanging(tag string) func(contract) string {
	return func(contract) string { return fmt.Sprintf("trap '' TERM\nsleep %s &\nsleep %[1]s\nsleep %[1]s\n", tag) }
}

// A script that hangs is ended at its timeout, within the grace period.
func TestDialectsTimeOut(t *testing.T) {
	tag := processtest.Tag()
	begin := time.Now()
	for name, v := range runDialects(t.Context(), t, 2*time.Second, hanging(tag)) {
		if v.Last == nil || v.Last.Result != record.Timeout {
			t.Errorf("%s: verdict %+v", name, v.Last)
		}
	}
	if took := time.Since(begin); took > 2*time.Second+grace {
		t.Errorf("it took %s", took)
	}
	awaitGone(t, tag)
}

// So it is when the bridge wants to end; the run then says nothing.
func TestDialectsEnd(t *testing.T) {
	tag := processtest.Tag()
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan time.Time, 1)
	go func() {
		defer cancel()
		for len(processtest.Holding(tag)) < 2*processDialects() && ctx.Err() == nil {
			<-time.After(10 * time.Millisecond)
		}
		cancelled <- time.Now()
	}()
	for name, v := range runDialects(ctx, t, time.Minute, hanging(tag)) {
		if v.Last != nil {
			t.Errorf("%s: a run that was cut short is judged: %+v", name, v.Last)
		}
	}
	cancel()
	if took := time.Since(<-cancelled); took > grace {
		t.Errorf("it took %s", took)
	}
	awaitGone(t, tag)
}
