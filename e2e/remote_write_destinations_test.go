package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/prometheus/model/value"
)

// answered notes when a destination was asked and what it said.
type answered struct {
	mu  sync.Mutex
	all []answer
}

type answer struct {
	at   time.Time
	code int
}

type noted struct {
	http.ResponseWriter
	code int
}

func (n *noted) WriteHeader(code int) {
	n.code = code
	n.ResponseWriter.WriteHeader(code)
}

// noting is a fault that notes what comes of another; f is given how many were
// answered before.
func (a *answered) noting(f func(before int, w http.ResponseWriter, r *http.Request, api http.Handler)) fault {
	return func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		a.mu.Lock()
		before := len(a.all)
		a.all = append(a.all, answer{at: time.Now()})
		a.mu.Unlock()
		n := &noted{ResponseWriter: w, code: http.StatusOK}
		f(before, n, r, api)
		a.mu.Lock()
		a.all[before].code = n.code
		a.mu.Unlock()
	}
}

func (a *answered) list() []answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

func isTwo(r *http.Request) bool {
	kind, err := remote.ParseProtoMsg(r.Header.Get("Content-Type"))
	return err == nil && kind == remote.WriteV2MessageType
}

const askedToWait = 3 * time.Second

// Destinations of all kinds, of one bridge at once. The one that hangs, and those that
// refuse, hold up no other.
func TestRemoteWriteDestinations(t *testing.T) {
	t.Parallel() // it waits for the most part
	const parts = 20
	destinations := map[string]*writePeer{
		"two":      newWritePeer(t),
		"one":      newWritePeer(t, remote.WriteV1MessageType), // 415 for others
		"silent":   newWritePeer(t, remote.WriteV1MessageType),
		"busy":     newWritePeer(t),
		"down":     newWritePeer(t),
		"small":    newWritePeer(t),
		"partly":   newWritePeer(t),
		"whole":    newWritePeer(t),
		"portal":   newWritePeer(t),
		"redirect": newWritePeer(t),
		"hanging":  newWritePeer(t),
	}
	said := make(map[string]*answered)
	misbehave := func(name string, f func(before int, w http.ResponseWriter, r *http.Request, api http.Handler)) {
		said[name] = new(answered)
		destinations[name].misbehave(said[name].noting(f))
	}
	misbehave("one", func(_ int, w http.ResponseWriter, r *http.Request, api http.Handler) { api.ServeHTTP(w, r) })
	misbehave("silent", func(_ int, w http.ResponseWriter, r *http.Request, api http.Handler) { // as Prometheus before 2.54
		if isTwo(r) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		api.ServeHTTP(w, r)
	})
	misbehave("busy", func(before int, w http.ResponseWriter, r *http.Request, api http.Handler) {
		if before%3 == 1 {
			w.Header().Set("Retry-After", fmt.Sprint(int(askedToWait.Seconds())))
			http.Error(w, "slow down", http.StatusTooManyRequests)
			return
		}
		api.ServeHTTP(w, r)
	})
	misbehave("down", func(before int, w http.ResponseWriter, r *http.Request, api http.Handler) {
		if before%3 == 0 {
			// A time of HTTP has whole seconds.
			w.Header().Set("Retry-After", time.Now().Add(askedToWait+time.Second).UTC().Format(http.TimeFormat))
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		api.ServeHTTP(w, r)
	})
	misbehave("small", func(_ int, w http.ResponseWriter, r *http.Request, api http.Handler) {
		if r.ContentLength > 1500 {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		api.ServeHTTP(w, r)
	})
	refusedPart := func(series string, _ writtenPoint) string {
		if strings.Contains(series, `part="3"`) {
			return "no such part is wanted"
		}
		return ""
	}
	destinations["partly"].refuses, destinations["partly"].partly = refusedPart, true
	destinations["whole"].refuses = refusedPart
	// Nothing of what these say at first is a destination's own answer.
	misbehave("portal", func(before int, w http.ResponseWriter, r *http.Request, api http.Handler) {
		if before < 4 {
			html(http.StatusOK)(w, r, api)
			return
		}
		api.ServeHTTP(w, r)
	})
	misbehave("redirect", func(before int, w http.ResponseWriter, r *http.Request, api http.Handler) {
		switch {
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusNoContent)
		case before < 4:
			http.Redirect(w, r, "/login", http.StatusFound)
		default:
			api.ServeHTTP(w, r)
		}
	})
	destinations["hanging"].misbehave(silent)
	var config strings.Builder
	for name, d := range destinations {
		fmt.Fprintf(&config, "    - {name: %s, url: %q, external_labels: {instance: here}}\n", name, d.url())
	}
	c := newCounting(t, map[string]int{"a": parts}, config.String())
	c.begin()
	eventually(t, "all that misbehave at first to be honest", func() error {
		for _, name := range []string{"portal", "redirect", "busy", "down"} {
			if n := len(destinations[name].of(`run_number{instance="here", script="a"}`)); n < 3 {
				return fmt.Errorf("%s has %d runs", name, n)
			}
		}
		return nil
	})
	c.awaitRuns("a", 3)
	var uploads []string
	for name := range destinations {
		if name != "hanging" {
			uploads = append(uploads, "remote_write_"+name)
		}
	}
	begun := c.awaitSent(uploads...)["a"]
	if age, _ := c.figure(`scriptbridge_upload_oldest_age_seconds{upload="remote_write_hanging"}`); age < 5 {
		t.Errorf("what waits for the one that hangs is %v s old", age)
	}
	refused := make(map[string]float64)
	for name := range destinations {
		n, ok := c.figure(fmt.Sprintf(`scriptbridge_upload_refused_total{upload="remote_write_%s"}`, name))
		if !ok {
			t.Errorf("it is not told what %s refuses", name)
		}
		refused[name] = n
	}
	c.stop()

	runs := c.runs("a")
	for name, d := range destinations {
		if name == "hanging" {
			continue
		}
		total := 0
		for part := -1; part < parts; part++ {
			series := fmt.Sprintf(`run_part{instance="here", part="%d", script="a"}`, part)
			if part < 0 {
				series = `run_number{instance="here", script="a"}`
			}
			points := d.of(series)
			if refuses := name == "whole" || name == "partly"; refuses && part == 3 {
				if len(points) > 0 {
					t.Errorf("%s took what it refuses", name)
				}
				continue
			}
			total += compareRuns(t, name+" "+series, runs, begun, points, nil)
		}
		t.Logf("%s has %d values that had to be there, and refused %v", name, total, refused[name])
	}
	for name, n := range refused {
		switch {
		case name == "whole" || name == "partly":
			if n < 3 || n > float64(len(runs)) {
				t.Errorf("%s refused %v of %d runs", name, n, len(runs))
			}
			if !strings.Contains(c.setAside("remote_write_"+name), "no such part is wanted") {
				t.Errorf("it is not said why %s refused: %.500s", name, c.setAside("remote_write_"+name))
			}
		case n > 0:
			t.Errorf("%s refused %v: %.500s", name, n, c.setAside("remote_write_"+name))
		}
	}
	for name, code := range map[string]int{"busy": http.StatusTooManyRequests, "down": http.StatusServiceUnavailable} {
		all := said[name].list()
		waited := 0
		for i, a := range all[:len(all)-1] {
			if a.code != code {
				continue
			}
			waited++
			if gap := all[i+1].at.Sub(a.at); gap < askedToWait-10*time.Millisecond {
				t.Errorf("%s asked to wait for %v, and was asked again after %v", name, askedToWait, gap)
			}
		}
		if waited == 0 {
			t.Errorf("%s did not answer %d: %v", name, code, all)
		}
	}
	for name, kinds := range map[string][2]bool{"two": {false, true}, "one": {true, false}, "silent": {true, false}, "portal": {false, true}, "redirect": {false, true}} {
		d := destinations[name]
		if v1, v2 := d.requests(remote.WriteV1MessageType), d.requests(remote.WriteV2MessageType); v1 > 0 != kinds[0] || v2 > 0 != kinds[1] {
			t.Errorf("%s took %d requests of 1.0 and %d of 2.0", name, v1, v2)
		}
	}
	for _, name := range []string{"one", "silent"} { // asked once what it knows
		twos := 0
		for _, a := range said[name].list() {
			if a.code == http.StatusUnsupportedMediaType {
				twos++
			}
		}
		if name == "one" && twos != 1 {
			t.Errorf("%s was asked %d times for 2.0", name, twos)
		}
	}
}

// What 2.0 alone has: a sum's beginning, which another life of the bridge has anew, and
// what is known of a metric.
func TestRemoteWriteCreated(t *testing.T) {
	t.Parallel() // it waits for the most part
	d := newWritePeer(t)
	dir := t.TempDir()
	write(t, dir, "sums.sh", everyFile["coscale.sh"])
	file := write(t, dir, "scriptbridge.yml", fmt.Sprintf("scripts: [{name: a, command: ./sums.sh, interval: 1s}]\nupload: {remote_write: [{url: %q, interval: 2s}]}\n", d.url()))
	const series, health, gauge = `coscale_lines_seen_total{script="a"}`, `scriptbridge_script_runs_total{result="ok", script="a"}`, `coscale_pool_size_bytes{pool="b", script="a"}`
	const build = `scriptbridge_build_info`
	var began []int64
	for life := range 2 {
		before := time.Now().UnixMilli()
		b := startBridge(t, dir, file, "--storage.path="+filepath.Join(dir, "state"))
		from := len(d.of(series))
		eventually(t, "three runs", func() error {
			if n := len(d.of(series)) - from; n < 3 {
				return fmt.Errorf("there were %d", n)
			}
			return nil
		})
		b.stop()
		for _, of := range []string{series, health} {
			points := slices.DeleteFunc(d.of(of), func(p writtenPoint) bool { return value.IsStaleNaN(p.value) })
			last := points[len(points)-1]
			// Before the first run there is a batch, which has the script's health alone.
			points = slices.DeleteFunc(points, func(p writtenPoint) bool { return p.at < before || p.value == 0 })
			if last.created < before || last.created > last.at {
				t.Errorf("life %d: %s at %d began at %d", life, of, last.at, last.created)
			}
			for i, p := range points {
				if p.created != last.created {
					t.Errorf("life %d: %s began at %d and at %d", life, of, p.created, last.created)
				}
				if p.value != float64(i+1)*map[string]float64{series: 3, health: 1}[of] {
					t.Errorf("life %d: run %d: %s is %v", life, i+1, of, p.value)
				}
			}
			began = append(began, last.created)
		}
	}
	if began[0] >= began[2] {
		t.Errorf("the lives began at %v", began)
	}
	last := func(of string) writtenPoint {
		points := d.of(of)
		if len(points) == 0 {
			t.Fatalf("there is no %s", of)
		}
		return points[len(points)-1]
	}
	if p := last(gauge); p.created != 0 || p.kind != "gauge" || p.unit != "bytes" || p.help != `How large \ "it" is` {
		t.Errorf("%s: %+v", gauge, p)
	}
	if p := last(series); p.kind != "counter" {
		t.Errorf("%s: %+v", series, p)
	}
	found := false
	for name := range d.all() {
		found = found || strings.HasPrefix(name, build+"{")
	}
	if !found {
		t.Errorf("there is no %s", build)
	}
}
