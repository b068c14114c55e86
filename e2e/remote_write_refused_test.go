package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/value"
)

// What Prometheus refuses, since it has had something newer of a series or since it is
// too old, costs nothing else. It is counted, listed, and sent again when that is asked
// for, to a Prometheus that takes it then.
func TestRemoteWriteRefused(t *testing.T) {
	t.Parallel() // it waits for the most part
	const window = "global: {scrape_interval: 1h}\nstorage: {tsdb: {out_of_order_time_window: 1h}}\n"
	p := startReceiving(t, "global: {scrape_interval: 1h}\n")
	c := newCounting(t, map[string]int{"a": 5}, fmt.Sprintf("    - {url: %q, external_labels: {job: bridge, instance: here}}\n", p.api+"write"))
	write(t, c.dir, "old.sh", "#!/bin/sh\necho '# TYPE old gauge'\necho 'old 1 1000000000000'\necho '# TYPE fresh gauge'\necho 'fresh 1'\n")
	config := strings.Replace(readFile(t, filepath.Join(c.dir, "scriptbridge.yml")), "upload:\n", "  - {name: old, command: ./old.sh, dialect: prometheus, interval: 1s, honor_timestamps: true, max_age: 876000h}\nupload:\n", 1)
	write(t, c.dir, "scriptbridge.yml", config)
	c.begin()
	c.awaitRuns("a", 3)
	c.awaitSent("remote_write")
	// Another writer is ahead of ours in one series.
	ahead := time.Now().Add(4 * time.Second).UnixMilli()
	writeOne(t, p.api+"write", `run_part`, map[string]string{"part": "1", "script": "a", "job": "bridge", "instance": "here"}, 0.5, ahead)
	c.awaitRuns("a", 6)
	begun := c.awaitSent("remote_write")["a"]
	c.stop()
	runs := c.runs("a")[:begun]
	compare := func(selector string) (values []float64, missing int) {
		t.Helper()
		all := p.history(t, selector)
		if len(all) != 1 {
			t.Fatalf("there are %d of %s", len(all), selector)
		}
		points := all[0].points()
		has := make(map[float64]bool)
		for _, point := range points {
			values = append(values, point.value)
			has[point.value] = true
		}
		for i := range runs {
			if delivered(runs, i) && !has[float64(i+1)] {
				missing++
			}
		}
		return values, missing
	}
	for part := range 5 {
		if values, missing := compare(fmt.Sprintf(`run_part{part="%d"}`, part)); part != 1 && missing > 0 || part == 1 && missing == 0 {
			t.Errorf("part %d: %d of %d runs are missing; it has %v", part, missing, len(runs), values)
		}
	}
	list := c.uploads(t, "refused")
	for _, want := range []string{"remote_write: ", "out of order sample", "out of bounds"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list has no %q:\n%s", want, list)
		}
	}
	t.Logf("%s", list)

	p.stop()
	write(t, p.dir, "prometheus.yml", window)
	p.begin(t)
	if text := c.uploads(t, "retry"); !strings.Contains(text, "queued again") {
		t.Errorf("retry says %q", text)
	}
	c.begin()
	c.awaitRuns("a", 3)
	c.awaitSent("remote_write")
	refused, _ := c.figure(`scriptbridge_upload_refused_total{upload="remote_write"}`)
	c.stop()
	if _, missing := compare(`run_part{part="1"}`); missing > 0 {
		t.Errorf("%d runs are missing still", missing)
	}
	// What is from 2001 is too old for this one, too.
	if list := c.uploads(t, "refused"); strings.Contains(list, "out of order sample") || !strings.Contains(list, "out of bounds") && !strings.Contains(list, "too old") {
		t.Errorf("then the list is:\n%s", list)
	}
	t.Logf("then %v were refused", refused)
}

// uploads is what a command about the bridge's uploads says.
func (c *counting) uploads(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.Command(program, "uploads", command, "--storage.path=state", "--config.file=scriptbridge.yml")
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("uploads %s: %v\n%s", command, err, out)
	}
	return string(out)
}

// What waits for longer than max_age is dropped, counted and told once; the rest arrives.
func TestRemoteWriteMaxAge(t *testing.T) {
	if !full {
		t.Skip("it takes minutes, since a bound is no less than one (SCRIPTBRIDGE_FAULTS=full)")
	}
	t.Parallel()
	d := newWritePeer(t)
	c := newCounting(t, map[string]int{"a": 2}, fmt.Sprintf("    - {url: %q, max_age: 1m}\n", d.url()))
	d.away()
	c.begin()
	const counted = `scriptbridge_upload_dropped_total{reason="too_old",upload="remote_write"}`
	deadline := time.Now().Add(4 * time.Minute)
	for {
		if n, ok := c.figure(counted); n > 20 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%v are too old (%v)", n, ok)
		}
		<-time.After(200 * time.Millisecond)
	}
	d.back(t)
	c.awaitRuns("a", 3)
	deadline = time.Now().Add(3 * time.Minute) // pauses have become long
	for {
		if n := len(d.of(`run_number{script="a"}`)); n > 20 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d runs have arrived", n)
		}
		<-time.After(200 * time.Millisecond)
	}
	begun := c.awaitSent("remote_write")["a"]
	c.stop()
	if n := strings.Count(c.text(), "what has waited for longer than max_age is dropped"); n != 1 {
		t.Errorf("it is told %d times", n)
	}
	runs := c.runs("a")[:begun]
	points := d.of(`run_number{script="a"}`)
	first := int(points[0].value)
	if first < 2 {
		t.Error("nothing was too old")
	}
	t.Logf("the first run that arrived was %d of %d", first, len(runs))
	has := make(map[int]bool)
	for _, p := range points {
		has[int(p.value)] = true
	}
	for n := first; n <= len(runs); n++ {
		if delivered(runs, n-1) && !has[n] {
			t.Errorf("run %d is missing", n)
		}
	}
	if value.IsStaleNaN(points[0].value) {
		t.Error("it begins with its end")
	}
}
