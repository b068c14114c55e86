package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scriptbridge/internal/loglimit"
	"scriptbridge/internal/testkit"
)

// serveFiles starts the bridge in a folder with these files, of which those that begin
// with #! are programs, and gives the address of its web port.
func serveFiles(t testing.TB, files map[string]string) (p *programRun, url string) {
	t.Helper()
	return serveFilesBy(t, files, "scriptbridge")
}

// serveFilesBy is serveFiles where another program starts the bridge, which has its
// arguments behind args.
func serveFilesBy(t testing.TB, files map[string]string, program string, args ...string) (p *programRun, url string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		mode := os.FileMode(0o600)
		if len(text) > 1 && text[:2] == "#!" {
			mode = 0o700
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	p = startProgramIn(t, dir, program, append(args, "serve", "--web.listen-address=127.0.0.1:0")...)
	p.await("where it listens", func() bool {
		m := listeningOn.FindStringSubmatch(p.out.String())
		if m != nil {
			url = "http://" + m[1]
		}
		return m != nil
	})
	return p, url
}

// pageAt gives the text at an address.
func pageAt(url string) (string, error) {
	answer, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return string(text), err
}

// value is that of a series on the page, by its name and labels; 0 where it is not
// there.
func value(t testing.TB, url, series string) float64 {
	t.Helper()
	page, err := pageAt(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(page)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Eighty clients that probe all the time, each run of which would never end, hold half of
// the places; in the other half a script has its turns.
func TestProbeFlood(t *testing.T) {
	p, url := serveFiles(t, map[string]string{
		"scriptbridge.yml": `
global: {max_concurrent: 4}
scripts:
  - {name: turns, command: ./turns.sh, dialect: prometheus, interval: 2s}
  - name: hangs
    command: './hangs.sh {n}'
    dialect: prometheus
    timeout: 10m
    probe: true
    parameters: {n: {pattern: '[0-9_]+'}}
`,
		"turns.sh": "#!/bin/sh\necho turns 1\n",
		"hangs.sh": "#!/bin/sh\n: >hangs.$1\nwhile :; do sleep 1; done\n",
	})
	const turns = `scriptbridge_script_runs_total{script="turns",result="ok"}`
	ctx, leave := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 80 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/probe?script=hangs&n=%d_%d", url, i, n), nil)
				if err != nil {
					panic(err)
				}
				if answer, err := http.DefaultClient.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			}
		})
	}
	t.Cleanup(func() { leave(); clients.Wait() })
	probes := func() int {
		all, err := filepath.Glob(filepath.Join(p.dir, "hangs.[0-9]*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	p.await("two probes to run", func() bool { return probes() == 2 })
	p.await("sixty of them to wait", func() bool { return value(t, url, "scriptbridge_scripts_waiting") >= 60 })
	before := value(t, url, turns)
	p.await("five turns", func() bool { return value(t, url, turns) >= before+5 })
	if n := probes(); n != 2 {
		t.Errorf("%d probes run in 2 of 4 places", n)
	}
}

// Whatever scripts print and clients send without end, each of them adds a burst to the
// log and then little, and the event log has its share of each; what is left out is
// counted and told.
func TestLogFlood(t *testing.T) {
	const loop = "n=$(cat N.${0##*/} 2>/dev/null || echo 0); echo $((n + 1)) >N.${0##*/}\n"
	script := func(declare, data string) string {
		return "#!/bin/sh\n[ \"$1\" = -c ] && { echo '" + declare + "'; exit; }\n" + loop + "awk -v n=$n 'BEGIN { for (i = 0; i < 1000; i++) " + data + " }'\n"
	}
	socket := testkit.FreeAddress()
	began := time.Now()
	p, url := serveFiles(t, map[string]string{
		"scriptbridge.yml": fmt.Sprintf(`
events: {log: {path: events.log}}
global: {interval: 1s}
receive: {statsd: {udp: "%s"}}
scripts:
  - {name: refused, command: ./refused.sh}
  - {name: stderr, command: ./stderr.sh}
  - {name: series, command: ./series.sh, dialect: prometheus, max_series: 10}
  - {name: events, command: ./events.sh}
`, socket),
		"refused.sh": script(`{"metrics": [{"id": 1, "name": "A"}]}`, `printf "M%d 1\n", 5 + 1000*n + i`),
		"stderr.sh":  script(`{"metrics": [{"id": 1, "name": "B"}]}`, `printf "word %d of run %d\n", i, n >"/dev/stderr"`),
		"series.sh":  script("", `printf "series_%d_%d 1\n", n, i`),
		"events.sh":  script(`{"events": [{"id": 1, "name": "E"}]}`, `printf "E1 1700000000 -1 \"event %d of run %d\" \"{}\" S\n", i, n`),
	})
	to, err := net.Dial("udp", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	p.await("the receiver", func() bool { return value(t, url, `scriptbridge_receiver_up{receiver="statsd"}`) == 1 })
	sent := 0
	ran := func() bool {
		for range 1000 {
			text := fmt.Sprintf("event %d", sent)
			if _, err := fmt.Fprintf(to, "_e{%d,4}:%s|text", len(text), text); err == nil {
				sent++
			}
		}
		for _, name := range []string{"refused", "stderr", "series", "events"} {
			if value(t, url, fmt.Sprintf(`scriptbridge_script_runs_total{script=%q,result="ok"}`, name)) < 6 {
				return false
			}
		}
		return sent >= 20_000
	}
	testkit.Poll(t, "six runs of each", ran, p.out.String)
	p.await("the events to be told of", func() bool {
		return strings.Contains(p.out.String(), `msg="more events than the event log takes of one receiver"`)
	})
	log := p.out.String()
	events, err := os.ReadFile(filepath.Join(p.dir, "events.log"))
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began).Seconds()
	for _, name := range []string{"refused", "stderr", "series", "events"} {
		lines := strings.Count(log, "script="+name+" ")
		if most := loglimit.Log.Burst + int(took/10) + 5; lines > most || lines < 20 && name != "events" {
			t.Errorf("%s: %d lines in %.0f s, not 20 to %d", name, lines, took, most)
		}
		if !strings.Contains(log, fmt.Sprintf(`script=%s msg="more `, name)) {
			t.Errorf("%s: the log does not tell what was left out", name)
		}
	}
	if most := 4*25_000 + int(took*1000); len(log) > most {
		t.Errorf("%d bytes in %.0f s, more than %d", len(log), took, most)
	}
	for _, source := range []string{" script=events ", " receiver=statsd "} {
		lines := strings.Count(string(events), source)
		if most := loglimit.Events.Burst + int(took*10) + 1; lines > most || lines < loglimit.Events.Burst {
			t.Errorf("%d lines with%sin %.0f s, not %d to %d", lines, source, took, loglimit.Events.Burst, most)
		}
	}
	for _, stream := range []string{"log", "events"} {
		if n := value(t, url, fmt.Sprintf(`scriptbridge_log_suppressed_total{stream=%q}`, stream)); n < 1000 {
			t.Errorf("%v lines of the stream %s are counted", n, stream)
		}
	}
}

// A hundred clients that guess tokens, as fast as they can, are looked at ten times and then
// once in six seconds.
func TestGuessFlood(t *testing.T) {
	began := time.Now()
	p, url := serveFiles(t, map[string]string{
		"scriptbridge.yml": "receive: {coscale: {app_id: shop, access_tokens_file: tokens}}\n",
		"tokens":           accessToken + "\n",
	})
	logIn(t, url, accessToken)
	var clients sync.WaitGroup
	var looked, refused atomic.Int64
	for i := range 100 {
		clients.Go(func() {
			for n := range 20 {
				answer, err := http.PostForm(url+"/api/v1/app/shop/login/", neturl.Values{"accessToken": {fmt.Sprint(i, n)}})
				if err != nil {
					t.Error(err)
					return
				}
				answer.Body.Close()
				switch answer.StatusCode {
				case http.StatusBadRequest:
					looked.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				default:
					t.Error(answer.Status)
				}
			}
		})
	}
	clients.Wait()
	most := 10 + int64(time.Since(began)/(6*time.Second)) + 1
	// Of those that are looked at some find no place to wait in, and get the same answer as the others.
	if n := looked.Load(); n > most || n+refused.Load() != 2000 {
		t.Errorf("%d of 2000 are looked at, more than %d", n, most)
	}
	p.logs(fmt.Sprintf(`receiver=coscale msg="logins to CoScale's API are refused for a while, since so many have failed" client="uid %d"`, os.Geteuid()))
}

// Where there are few descriptors, connections that are opened and left neither keep others
// out nor keep scripts from running, on any port.
func TestConnectionFlood(t *testing.T) {
	coscale, statsd := testkit.FreeAddress(), testkit.FreeAddress()
	p, base := serveFilesBy(t, map[string]string{
		"scriptbridge.yml": fmt.Sprintf(`
scripts:
  - {name: turns, command: ./turns.sh, dialect: prometheus, interval: 1s}
receive:
  coscale: {app_id: shop, access_tokens_file: tokens, listen: ["%s"]}
  statsd: {tcp: "%s"}
`, coscale, statsd),
		"tokens":   accessToken + "\n",
		"turns.sh": "#!/bin/sh\necho turns 1 | cat\n",
	}, "sh", "-c", `ulimit -n 200 && exec scriptbridge "$@"`, "sh")
	p.await("the receivers", func() bool {
		return value(t, base, `scriptbridge_receiver_up{receiver="statsd"}`)+value(t, base, `scriptbridge_receiver_up{receiver="coscale"}`) == 2
	})
	const turns = `scriptbridge_script_runs_total{script="turns",result="ok"}`
	ok, all := value(t, base, turns), 0.0
	for _, address := range []string{strings.TrimPrefix(base, "http://"), coscale, statsd} {
		for i := range 400 {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			_, _ = io.WriteString(c, []string{"", "GET / HTTP/1.1\r\nHost: a\r\n", "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n", "x"}[i%4]) // which may not be taken
		}
	}
	p.await("five turns", func() bool { return value(t, base, turns) >= ok+5 })
	logIn(t, "http://"+coscale, accessToken)
	for _, result := range []string{"error", "timeout", "killed", "invalid"} {
		all += value(t, base, fmt.Sprintf(`scriptbridge_script_runs_total{script="turns",result=%q}`, result))
	}
	if all > 0 {
		t.Errorf("%v turns failed:\n%s", all, p.out.String())
	}
	if strings.Contains(p.out.String(), "too many open files") {
		t.Errorf("there were no descriptors:\n%s", p.out.String())
	}
}

// What a client does wrong with TLS is a line like all others.
func TestHandshakeErrors(t *testing.T) {
	dir := t.TempDir()
	if err := makeCertificate(filepath.Join(dir, "cert"), filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	p, base := serveFilesBy(t, map[string]string{
		"scriptbridge.yml": "scripts: []\n",
		"web.yml":          fmt.Sprintf("tls_server_config: {cert_file: %q, key_file: %q}\n", filepath.Join(dir, "cert"), filepath.Join(dir, "key")),
	}, "sh", "-c", `exec scriptbridge "$@" --web.config.file=web.yml`, "sh")
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "nonsense, which is no handshake at all\n"); err != nil {
		t.Fatal(err)
	}
	p.logs(`msg="http: TLS handshake error from ` + c.LocalAddr().String())
	for line := range strings.Lines(p.out.String()) {
		if !strings.HasPrefix(line, "level=") {
			t.Errorf("a line without structure: %s", line)
		}
	}
}

// accessToken is one as clients of CoScale's API have them.
const accessToken = "0b7c9a52-7f0e-4c6f-9a3c-2d2f6a0f7d11"

// logIn gives a session of CoScale's API.
func logIn(t *testing.T, url, token string) string {
	t.Helper()
	var session string
	testkit.Await(t, "the receiver", func() bool {
		answer, err := http.PostForm(url+"/api/v1/app/shop/login/", neturl.Values{"accessToken": {token}})
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var said struct{ Token string }
		if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
			t.Fatal(err)
		}
		session = said.Token
		return session != ""
	})
	return session
}
