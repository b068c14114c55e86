package e2e

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startReceiving starts a Prometheus that takes remote write.
func startReceiving(t *testing.T, config string) *prom {
	t.Helper()
	return startPrometheusWith(t, config, "--web.enable-remote-write-receiver")
}

// history is all that a Prometheus has of the series of a selector.
func (p *prom) history(t *testing.T, selector string) (all []writtenSeries) {
	t.Helper()
	var data struct{ Result []writtenSeries }
	p.get(t, "query", url.Values{"query": {selector + "[1d]"}}, &data)
	return data.Result
}

// writtenSeries is one element of a range vector.
type writtenSeries struct {
	Metric map[string]string
	Values [][2]any // seconds and text
}

func (s *writtenSeries) at(i int) (milliseconds int64, value float64) {
	value, _ = strconv.ParseFloat(s.Values[i][1].(string), 64)
	return int64(s.Values[i][0].(float64)*1000 + 0.5), value
}

// points are those of the series.
func (s *writtenSeries) points() (all []writtenPoint) {
	for i := range s.Values {
		at, v := s.at(i)
		all = append(all, writtenPoint{at: at, value: v})
	}
	return all
}

// numbered counts its runs in a file, by which it can be told of each when it began and
// which life of the bridge it belongs to, and shows the number. A run that outlives its
// bridge must not have the number of another.
const numbered = `#!/bin/sh
exec 9>"$1.lock"
flock 9
n=$(($(wc -l <"$1") + 1))
echo "$E2E_LIFE $n $(date +%s%3N)" >>"$1"
exec 9>&-
echo '# TYPE run_number gauge'
echo "run_number $n"
i=0
while [ $i -lt "$2" ]; do echo "run_part{part=\"$i\"} $n"; i=$((i + 1)); done
`

// numberedRun is what such a script has noted of a run.
type numberedRun struct {
	life  int
	began int64 // Unix milliseconds
}

func numberedRuns(t *testing.T, file string) (runs []numberedRun) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r numberedRun
		var n int
		if _, err := fmt.Sscan(line, &r.life, &n, &r.began); err != nil || n != len(runs)+1 {
			t.Fatalf("%s has %q where run %d should be: %v", file, line, len(runs)+1, err)
		}
		runs = append(runs, r)
	}
	return runs
}

// delivered says whether a run's values must have arrived: its bridge has begun another
// run of the script, which it does when all that takes the values has the last ones.
func delivered(runs []numberedRun, i int) bool {
	for _, r := range runs[i+1:] {
		if r.life == runs[i].life {
			return true
		}
	}
	return false
}

// counting is a bridge with scripts that number their runs, and what they have noted.
type counting struct {
	*bridge
	t     *testing.T
	dir   string
	parts map[string]int // how many series each has beside run_number
	life  int
}

// newCounting makes one that writes to some destinations; it is not started yet.
func newCounting(t *testing.T, parts map[string]int, destinations string) *counting {
	t.Helper()
	c := &counting{t: t, dir: t.TempDir(), parts: parts}
	write(t, c.dir, "numbered.sh", numbered)
	var config strings.Builder
	config.WriteString("scripts:\n")
	for name, n := range parts {
		write(t, c.dir, name+".runs", "")
		fmt.Fprintf(&config, "  - {name: %s, command: ./numbered.sh %[1]s.runs %d, dialect: prometheus, interval: 1s, pass_env: [E2E_LIFE]}\n", name, n)
	}
	config.WriteString("upload:\n  remote_write:\n" + destinations)
	write(t, c.dir, "scriptbridge.yml", config.String())
	return c
}

// begin starts the bridge, whatever became of the one before.
func (c *counting) begin() {
	c.t.Helper()
	c.life++
	cmd := exec.Command(program, "--config.file=scriptbridge.yml", "--web.listen-address=127.0.0.1:0", "--storage.path="+filepath.Join(c.dir, "state"))
	cmd.Env = []string{"E2E_LIFE=" + strconv.Itoa(c.life)}
	c.bridge = &bridge{process: startCommand(c.t, c.dir, cmd)}
	c.awaitListening(c.t)
}

// runs are those of a script so far.
func (c *counting) runs(name string) []numberedRun {
	c.t.Helper()
	return numberedRuns(c.t, filepath.Join(c.dir, name+".runs"))
}

// awaitRuns waits for so many more runs of a script.
func (c *counting) awaitRuns(name string, n int) {
	c.t.Helper()
	from := len(c.runs(name))
	eventually(c.t, fmt.Sprintf("%d more runs", n), func() error {
		if now := len(c.runs(name)); now < from+n {
			return fmt.Errorf("there were %d", now-from)
		}
		return nil
	})
}

// figure is a series' value on the bridge's page; false where it has none.
func (c *counting) figure(series string) (v float64, ok bool) {
	c.t.Helper()
	for line := range strings.Lines(c.page(c.t)) {
		if rest, found := strings.CutPrefix(line, series+" "); found {
			_, err := fmt.Sscan(rest, &v)
			return v, err == nil
		}
	}
	return 0, false
}

// awaitSent waits until all that is there by now is sent, and gives how many runs the
// scripts have begun by now.
func (c *counting) awaitSent(uploads ...string) (begun map[string]int) {
	c.t.Helper()
	from := time.Now()
	begun = make(map[string]int)
	for name := range c.parts {
		begun[name] = len(c.runs(name))
	}
	for _, upload := range uploads {
		eventually(c.t, upload+" to have sent all", func() error {
			age, ok := c.figure(fmt.Sprintf(`scriptbridge_upload_oldest_age_seconds{upload=%q}`, upload))
			if !ok || age > time.Since(from).Seconds() {
				return fmt.Errorf("the oldest has waited for %v s (%v)", age, ok)
			}
			return nil
		})
	}
	return begun
}

// setAside is what an upload has set aside; empty for nothing.
func (c *counting) setAside(upload string) string {
	text, _ := os.ReadFile(filepath.Join(c.dir, "state", "uploads", upload+".refused"))
	return string(text)
}

// Both are killed again and again, the bridge and the Prometheus that it writes to, while
// scripts run each second: there is no hole. Each run that the bridge had done with has
// its values at the time that the bridge tells of its end, in order, and none twice.
func TestRemoteWriteKilled(t *testing.T) {
	t.Parallel() // it waits for the most part
	kills := 12
	if full {
		kills = 100
	}
	p := startReceiving(t, "global: {scrape_interval: 1h}\n")
	c := newCounting(t, map[string]int{"a": 0, "b": 3, "c": 400}, // the last one has much to send
		fmt.Sprintf("    - {url: %q, external_labels: {job: bridge, instance: here}}\n", p.api+"write"))
	c.begin()
	away := false
	for i := range kills {
		<-time.After(time.Duration(300+617*i%1900) * time.Millisecond)
		if i%3 == 1 {
			if away = !away; away {
				p.kill()
			} else {
				p.begin(t)
			}
		}
		c.kill()
		c.begin()
	}
	if away {
		p.begin(t)
	}
	c.awaitRuns("a", 3) // the last life has done with some, too
	begun := c.awaitSent("remote_write")
	c.stop()
	if refused := c.setAside("remote_write"); refused != "" {
		t.Errorf("something was set aside, such as %.1000s", refused)
	}

	compared := 0
	for name, n := range c.parts {
		runs := c.runs(name)
		ended := p.history(t, fmt.Sprintf(`scriptbridge_script_last_run_timestamp_seconds{script=%q}`, name))
		if len(ended) != 1 {
			t.Fatalf("%s has ended by %d series", name, len(ended))
		}
		told := make(map[int64]bool) // when runs have ended, as the bridge says
		for i := range ended[0].Values {
			if at, v := ended[0].at(i); at != int64(v*1000+0.5) {
				t.Errorf("%s: the run that ended at %.3f is written at %d", name, v, at)
			} else {
				told[at] = true
			}
		}
		for _, success := range p.history(t, fmt.Sprintf(`scriptbridge_script_success{script=%q}`, name)) {
			for i := range success.Values {
				at, v := success.at(i)
				told[at] = told[at] && v == 1
			}
		}
		all := append(p.history(t, fmt.Sprintf(`run_number{script=%q}`, name)), p.history(t, fmt.Sprintf(`run_part{script=%q}`, name))...)
		if len(all) != n+1 {
			t.Errorf("%s has %d series of %d", name, len(all), n+1)
		}
		for _, one := range all {
			compared += compareRuns(t, fmt.Sprint(name, " ", one.Metric), runs, begun[name], one.points(), told)
			if one.Metric["job"] != "bridge" || one.Metric["instance"] != "here" {
				t.Errorf("the labels are %v", one.Metric)
			}
		}
	}
	t.Logf("%d kills of the bridge; %d values were where they belong", kills, compared)
}

// compareRuns looks for holes in a series of run numbers, and gives how many of the first
// so many runs had to be there. told is when runs have ended, and whether well; nil where
// that is not known.
func compareRuns(t *testing.T, series string, runs []numberedRun, first int, points []writtenPoint, told map[int64]bool) (must int) {
	t.Helper()
	has := make(map[int]bool)
	last := 0
	for _, p := range points {
		n := int(p.value)
		if good, known := told[p.at]; n == last && known && !good {
			continue // a run that fails leaves what was there
		}
		if n <= last {
			t.Errorf("%s: run %d comes after run %d", series, n, last)
		}
		last = n
		if n < 1 || n > len(runs) {
			t.Fatalf("%s: there was no run %v", series, p.value)
		}
		if good := told[p.at]; told != nil && !good {
			t.Errorf("%s: run %d is written at %d, when none ended", series, n, p.at)
		}
		if p.at < runs[n-1].began || n < len(runs) && runs[n].life == runs[n-1].life && p.at > runs[n].began {
			t.Errorf("%s: run %d began at %d, and is written at %d", series, n, runs[n-1].began, p.at)
		}
		has[n] = true
	}
	for i := range runs[:first] {
		if !delivered(runs[:first], i) {
			continue
		}
		must++
		if !has[i+1] {
			t.Errorf("%s: run %d of the bridge's life %d, which began at %d, is missing", series, i+1, runs[i].life, runs[i].began)
		}
	}
	return must
}

// A connection to Prometheus is cut when it has done what it was asked, so that nobody
// knows that; or the bridge is killed then. What is sent again, in part newer and in part
// out of order by then, leaves no hole, and is not taken for refused.
func TestRemoteWriteCut(t *testing.T) {
	t.Parallel() // it waits for the most part
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%t", killed), func(t *testing.T) {
			t.Parallel()
			p := startReceiving(t, "global: {scrape_interval: 1h}\n")
			target, err := url.Parse("http://" + p.address)
			if err != nil {
				t.Fatal(err)
			}
			var between front
			between.open(t, httputil.NewSingleHostReverseProxy(target))
			open := make(chan struct{})
			between.misbehave(holding(open))
			c := newCounting(t, map[string]int{"a": 0, "b": 3, "c": 300}, fmt.Sprintf("    - {url: \"http://%s/api/v1/write\", protobuf_message: prometheus.WriteRequest, external_labels: {job: bridge, instance: here}}\n", between.address))
			c.begin()
			c.awaitRuns("a", 12)
			cut := make(chan struct{}, 1000)
			between.misbehave(func(w http.ResponseWriter, r *http.Request, api http.Handler) {
				deaf(w, r, api)
				cut <- struct{}{}
			})
			close(open)
			for range 3 { // the first had nothing but the process's own
				<-cut
			}
			if killed {
				c.kill()
				c.begin()
				c.awaitRuns("a", 2)
			}
			said := new(answered)
			between.misbehave(said.noting(func(_ int, w http.ResponseWriter, r *http.Request, api http.Handler) { api.ServeHTTP(w, r) }))
			c.awaitRuns("a", 2)
			begun := c.awaitSent("remote_write")
			refused, _ := c.figure(`scriptbridge_upload_refused_total{upload="remote_write"}`)
			c.stop()
			if aside := c.setAside("remote_write"); aside != "" || refused > 0 {
				t.Errorf("%v were refused, and set aside %.300s", refused, aside)
			}
			compared := 0
			for name, n := range c.parts {
				all := append(p.history(t, fmt.Sprintf(`run_number{script=%q}`, name)), p.history(t, fmt.Sprintf(`run_part{script=%q}`, name))...)
				if len(all) != n+1 {
					t.Errorf("%s has %d series of %d", name, len(all), n+1)
				}
				for _, one := range all {
					compared += compareRuns(t, fmt.Sprint(name, " ", one.Metric), c.runs(name), begun[name], one.points(), nil)
				}
			}
			bad := 0
			for _, a := range said.list() {
				if a.code == http.StatusBadRequest {
					bad++
				}
			}
			if bad == 0 {
				t.Error("nothing that was sent again was out of order")
			}
			t.Logf("%d values were where they belong; %d of %d requests were answered 400", compared, bad, len(said.list()))
		})
	}
}
