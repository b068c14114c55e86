package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
)

// serveFiles starts the bridge in a folder with these files, of which those that begin
// with #! are programs, and gives the address of its web port.
func serveFiles(t *testing.T, files map[string]string, args ...string) (p *programRun, url string) {
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
	p = startProcess(t, dir, append([]string{"serve", "--web.listen-address=127.0.0.1:0"}, args...)...)
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
func value(t *testing.T, url, series string) float64 {
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
