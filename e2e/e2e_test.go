// Package e2e runs the built program together with what it is built for: a
// real Prometheus that scrapes it. Where there is no Prometheus its tests are
// skipped with a message, unless SCRIPTBRIDGE_E2E=required.
package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
	"scriptbridge/internal/trust/trusttest"
)

const patience = time.Minute

var program string // the binary under test

func TestMain(m *testing.M) {
	leave, err := trusttest.Enter("..")
	if err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "scriptbridge-e2e")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "scriptbridge")
	const version = "-X github.com/prometheus/common/version."
	build := exec.Command("go", "build", "-buildvcs=false", "-ldflags="+version+"Version=1.2.3 "+version+"Branch=main", "-o", program, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the program does not build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	leave()
	os.Exit(code)
}

// need finds a program of the peer, or skips the test.
func need(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			t.Fatalf("%s is not installed, and SCRIPTBRIDGE_E2E=required", name)
		}
		t.Skipf("%s is not installed (Debian: apt-get install %s)", name, strings.Replace(name, "promtool", "prometheus", 1))
	}
	return path
}

// process is one running program whose log can be waited for.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func start(t testing.TB, dir, name string, args ...string) *process {
	t.Helper()
	return startCommand(t, dir, exec.Command(name, args...))
}

func startCommand(t testing.TB, dir string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.Env = append(os.Environ(), append(cmd.Env, "E2E_MARK="+dir)...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(cmd.Path), p.text())
		}
	})
	return p
}

func (p *process) signal(s os.Signal) { p.cmd.Process.Signal(s) }

// kill ends it as a power cut does.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// bridge is a running scriptbridge.
type bridge struct {
	*process
	address string
}

var listeningOn = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

func startBridge(t testing.TB, dir, config string, flags ...string) *bridge {
	t.Helper()
	args := append([]string{"--config.file=" + config, "--web.listen-address=127.0.0.1:0"}, flags...)
	b := &bridge{process: start(t, dir, program, args...)}
	b.awaitListening(t)
	return b
}

// awaitListening waits until it says where it listens.
func (b *bridge) awaitListening(t testing.TB) {
	t.Helper()
	eventually(t, "the bridge to listen", func() error {
		m := listeningOn.FindStringSubmatch(b.text())
		if m == nil {
			return fmt.Errorf("its log: %s", b.text())
		}
		b.address = m[1]
		return nil
	})
}

func (b *bridge) page(t testing.TB) string {
	t.Helper()
	text, err := get("http://" + b.address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eventually asks until there is no error, for as long as patience lasts.
func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// prom is a running Prometheus.
type prom struct {
	*process
	api     string
	dir     string
	address string
	flags   []string
}

// startPrometheus starts one that scrapes a bridge every second.
func startPrometheus(t *testing.T, target string) *prom {
	t.Helper()
	return startPrometheusWith(t, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: scriptbridge
    static_configs: [{targets: [%q]}]
`, target))
}

func startPrometheusWith(t *testing.T, config string, flags ...string) *prom {
	t.Helper()
	p := &prom{dir: t.TempDir(), address: testkit.FreeAddress(), flags: flags}
	p.api = "http://" + p.address + "/api/v1/"
	write(t, p.dir, "prometheus.yml", config)
	p.begin(t)
	return p
}

// begin starts it, with what it has stored before.
func (p *prom) begin(t *testing.T) {
	t.Helper()
	p.process = start(t, p.dir, need(t, "prometheus"), append([]string{"--config.file=prometheus.yml", "--storage.tsdb.path=" + filepath.Join(p.dir, "data"),
		"--web.listen-address=" + p.address, "--log.level=warn"}, p.flags...)...)
	eventually(t, "Prometheus to be ready", func() error {
		_, err := get("http://" + p.address + "/-/ready")
		return err
	})
}

// sample is one element of an instant vector.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

func (s sample) value() string { return s.Value[1].(string) }

func (p *prom) get(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	resp, err := http.Get(p.api + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "success" {
		t.Fatalf("%s %s: %s", path, query, answer.Error)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		t.Fatal(err)
	}
}

// query asks for an instant vector.
func (p *prom) query(t *testing.T, expr string) []sample {
	t.Helper()
	var data struct{ Result []sample }
	p.get(t, "query", url.Values{"query": {expr}}, &data)
	return data.Result
}

// want waits until expr has exactly one element, of the wanted value.
func (p *prom) want(t *testing.T, expr, value string) sample {
	t.Helper()
	var last sample
	eventually(t, expr+" = "+value, func() error {
		got := p.query(t, expr)
		if len(got) != 1 {
			return fmt.Errorf("%d elements: %v", len(got), got)
		}
		if last = got[0]; last.value() != value {
			return fmt.Errorf("the value is %s", last.value())
		}
		return nil
	})
	return last
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// openMetrics gives the page as OpenMetrics.
func (b *bridge) openMetrics(t *testing.T) []byte {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+b.address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
