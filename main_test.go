package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"scriptbridge/internal/limits"
	"scriptbridge/internal/testkit"
	"scriptbridge/internal/trust/trusttest"
	"scriptbridge/internal/winjob"
)

// TestMain registers the program itself as a command, so that a scenario runs
// what people run.
func TestMain(m *testing.M) {
	if limits.Called(os.Args) || winjob.Called(os.Args) { // a run of these tests has started us for a script
		os.Exit(start(os.Args))
	}
	testscript.Main(tidy{m}, map[string]func(){
		"scriptbridge": func() {
			os.Exit(execute(os.Args[1:]))
		},
	})
}

// tidy fails tests that leave files in the checkout, or change some: the README's
// first commands must not. Who edits while tests run would be taken for one, so
// where this is not a judgement it is only told.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	before := checkout()
	leave, err := trusttest.Enter(".")
	if err != nil {
		panic(err)
	}
	code := m.M.Run()
	leave()
	if after := checkout(); after != before && !*update {
		fmt.Fprintf(os.Stderr, "the checkout was changed while its tests ran; before:\n%safter:\n%s", before, after)
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			return max(code, 1)
		}
	}
	return code
}

// checkout is what git sees in the checkout that is in no commit, and what it
// ignores among the examples; nothing where there is no git.
func checkout() string {
	var all []byte
	for _, args := range [][]string{{"status", "--porcelain"}, {"status", "--porcelain", "--ignored", "examples"}} {
		out, _ := exec.Command("git", args...).Output()
		all = append(all, out...)
	}
	return string(all)
}

// patience bounds every wait of a scenario; it is never slept through.
const patience = 30 * time.Second

// TestScenarios runs testdata/script/*.txtar: a configuration, some scripts,
// and what a person would then see. The commands beyond testscript's own:
//
//	serve CONFIG [FLAG…]      start the bridge and wait until it listens; with --web.listen-address=none, until it works
//	outputs stdout|stderr=STATE…  what the next bridge writes to: blocked, a pipe that nobody reads; gone, one whose reader
//	                          has left; full, a full disk. Where the log is not read, await tells what can be known
//	fakeapi [-once]           start a server of CoScale's API, for push and wrap; the file asked has what it is asked
//	await [-om] [!] REGEXP    scrape until the page matches (or no longer does); it stays in the file page;
//	                          with -at PATH, another page than /metrics
//	get PATH FILE [STATUS]    fetch a page of the bridge
//	post PATH STATUS          POST, and leave the answer in the file answer
//	awaitlog [FILE] REGEXP    wait until the log (or FILE) matches
//	count N REGEXP FILE       exactly N matches in FILE
//	certificate CERT KEY      make a self-signed certificate for 127.0.0.1; the bridge is then asked by https, but for -other
//	openapi PATH STATUS FILE  the file is an answer as docs/openapi.yaml describes it; openapi SCHEMA FILE, a document
//	same FILE WANT            equal but for the durations that try prints
//	api METHOD PATH STATUS [FORM]  ask as a client of CoScale's API does, with the token of the last login; at $API, or else
//	                          the bridge; the answer is left in the file answer
//	hold NAME, release NAME   take a free port, put its number into $NAME, and let it go
//	send NETWORK ADDRESS FILE  send a file as one packet, or over one connection
//	expand FILE…              put variables into the files
//	unescape FILE…            turn \r and \xNN in the files into what they mean
//	hup, terminate            SIGHUP; SIGTERM and wait: it must end well and leave nothing running
//	unchanged OUTPUT PAGE SCRIPT  the page shows the exposition that a script printed
//	manager PATH|@NAME        be the service manager of the next bridges; the file notified has what it is told
//	leftovers                 nothing that a script started is running
//	slow FILE                 whoever opens the file waits, until ! slow FILE, which waits for somebody who does, as slow -awaited FILE
//	slowfiles STATSD FILE…    reload while each file cannot be read, and see that all is answered; StatsD listens on the port $STATSD
//	oddfiles STATSD FILE…     likewise while each file is a named pipe, which the log must tell
func TestScenarios(t *testing.T) {
	runScenarios(t, filepath.Join("testdata", "script"), testscript.Params{
		Setup: func(env *testscript.Env) error {
			examples, err := filepath.Abs("examples")
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLES", examples)
			// A checkout of scalyr-agent-2, to compare with.
			env.Setenv("SCALYR_AGENT", os.Getenv("SCALYR_AGENT"))
			// A mark of our own on all that the scenario starts.
			env.Setenv("SCENARIO", env.WorkDir)
			env.Values[bridgeKey{}] = &serving{scheme: "http", held: make(map[string]net.Listener), slow: make(map[string]*os.File)}
			return prepare(env)
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			case "race":
				return testkit.Race, nil
			case "scalyr":
				return os.Getenv("SCALYR_AGENT") != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fakeapi":     cmdFakeAPI,
			"outputs":     cmdOutputs,
			"serve":       cmdServe,
			"await":       cmdAwait,
			"get":         cmdGet,
			"post":        cmdPost,
			"awaitlog":    cmdAwaitLog,
			"count":       cmdCount,
			"certificate": cmdCertificate,
			"same":        cmdSame,
			"api":         cmdAPI,
			"hold":        cmdHold,
			"openapi":     cmdOpenAPI,
			"send":        cmdSend,
			"release":     cmdRelease,
			"expand":      cmdExpand,
			"unescape":    cmdUnescape,
			"hup":         cmdHup,
			"terminate":   cmdTerminate,
			"leftovers":   cmdLeftovers,
			"manager":     cmdManager,
			"unchanged":   cmdUnchanged,
			"slow":        cmdSlow,
			"slowfiles":   cmdSlowFiles,
			"oddfiles":    cmdOddFiles,
		},
	})
}

type bridgeKey struct{}

// serving is the bridge of one scenario.
type serving struct {
	cmd    *exec.Cmd
	scheme string
	url    string
	done   chan struct{} // closed when it has ended
	err    error
	held   map[string]net.Listener // ports, by variable
	slow   map[string]*os.File     // by name, as slow got it

	stdout, stderr string // what becomes of its output: see cmdOutputs
}

func bridgeOf(ts *testscript.TestScript) *serving { return ts.Value(bridgeKey{}).(*serving) }

var listeningOn = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve CONFIG [FLAG…]")
	}
	b := bridgeOf(ts)
	program, err := exec.LookPath("scriptbridge")
	if path := ts.Getenv("PATH"); err != nil {
		for _, dir := range filepath.SplitList(path) {
			if p := filepath.Join(dir, "scriptbridge"+ts.Getenv("exe")); fileExists(p) {
				program = p
				break
			}
		}
	}
	logFile, err := os.Create(ts.MkAbs("log"))
	ts.Check(err)
	events, err := os.Create(ts.MkAbs("events"))
	ts.Check(err)
	address := "127.0.0.1:0"
	if b.stderr != "" { // where it listens cannot be read in the log
		address = testkit.FreeAddress()
		b.url = b.scheme + "://" + address
	}
	full := slices.Concat([]string{"--config.file=" + args[0]}, args[1:], serveFlags(args))
	noPort := slices.Contains(args, "--web.listen-address=none")
	if !noPort {
		full = append(full, "--web.listen-address="+address)
	}
	b.cmd = exec.Command(program, full...)
	b.cmd.Dir = ts.MkAbs(".")
	for _, name := range append(systemNames, "PATH", "HOME", "TMPDIR", "SCENARIO", "EXAMPLES", "WORK", "NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", "OPERATOR_TOKENS", "OPERATOR_PASSWORD", "OPERATOR_EMPTY", "OPERATOR_KEY") {
		b.cmd.Env = append(b.cmd.Env, name+"="+ts.Getenv(name))
	}
	b.cmd.Stdout, b.cmd.Stderr = output(ts, b.stdout, events), output(ts, b.stderr, logFile)
	ts.Check(b.cmd.Start())
	b.done = make(chan struct{})
	go func() {
		b.err = b.cmd.Wait()
		logFile.Close()
		events.Close()
		close(b.done)
	}()
	ts.Defer(func() {
		if runtime.GOOS == "windows" { // a scenario that fails must not wait for what it can ask no more
			b.cmd.Process.Kill()
		} else {
			b.cmd.Process.Signal(syscall.SIGTERM)
		}
		select {
		case <-b.done:
		case <-time.After(patience):
			b.cmd.Process.Kill()
		}
	})
	defer func() { ts.Setenv("URL", b.url) }()
	poll(ts, "the bridge to listen", func() (string, bool) {
		text := ts.ReadFile("log")
		if b.stderr != "" {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return fmt.Sprint(err), err == nil
		}
		m := listeningOn.FindStringSubmatch(text)
		if noPort && strings.Contains(text, `msg="the configuration is in force"`) {
			return "", true
		}
		if m == nil {
			select {
			case <-b.done:
				ts.Fatalf("the bridge ended: %v\n%s", b.err, text)
			default:
			}
			return text, false
		}
		b.url = b.scheme + "://" + m[1]
		return "", true
	})
}

func cmdOutputs(ts *testscript.TestScript, neg bool, args []string) {
	b := bridgeOf(ts)
	for _, arg := range args {
		switch name, state, _ := strings.Cut(arg, "="); name {
		case "stdout":
			b.stdout = state
		case "stderr":
			b.stderr = state
		default:
			ts.Fatalf("usage: outputs [stdout=blocked|gone|full] [stderr=blocked|gone|full]")
		}
	}
}

// output opens what a bridge writes to, where it is not the file.
func output(ts *testscript.TestScript, state string, file *os.File) *os.File {
	switch state {
	case "":
		return file
	case "full":
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		ts.Check(err)
		ts.Defer(func() { full.Close() })
		return full
	case "blocked", "gone":
		r, w, err := os.Pipe()
		ts.Check(err)
		ts.Defer(func() { w.Close() })
		if state == "gone" {
			r.Close()
		} else {
			ts.Defer(func() { r.Close() })
		}
		return w
	}
	ts.Fatalf("unknown state %q of an output", state)
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// poll asks again and again until ok, for as long as patience lasts.
func poll(ts *testscript.TestScript, what string, ask func() (state string, ok bool)) {
	deadline := time.Now().Add(patience)
	for {
		state, ok := ask()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain for %s; last seen:\n%s", what, state)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func fetch(ts *testscript.TestScript, method, path, accept string) (int, string) {
	req, err := http.NewRequest(method, bridgeOf(ts).url+path, nil)
	ts.Check(err)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if user, password, ok := strings.Cut(ts.Getenv("AUTH"), ":"); ok {
		req.SetBasicAuth(user, password)
	}
	return answerTo(ts, req)
}

// answerTo asks a bridge whose certificate was made a moment ago.
func answerTo(ts *testscript.TestScript, req *http.Request) (int, string) {
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.StatusCode, string(body)
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	accept, path := "", "/metrics"
	if len(args) > 0 && args[0] == "-om" {
		accept, args = "application/openmetrics-text; version=1.0.0", args[1:]
	}
	if len(args) > 1 && args[0] == "-at" {
		path, args = args[1], args[2:]
	}
	if len(args) != 1 {
		ts.Fatalf("usage: [!] await [-om] [-at PATH] REGEXP")
	}
	re := regexp.MustCompile("(?m)" + args[0])
	poll(ts, "the page to match "+args[0], func() (string, bool) {
		status, page := fetch(ts, http.MethodGet, path, accept)
		if status != http.StatusOK {
			ts.Fatalf("a scrape answered %d", status)
		}
		ts.Check(os.WriteFile(ts.MkAbs("page"), []byte(page), 0o600))
		return ofSources(page), re.MatchString(page) != neg
	})
}

// ofSources is what of a page a failing scenario should show.
func ofSources(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		if !ofProcess.MatchString(line) {
			b.WriteString(line)
		}
	}
	return b.String()
}

var ofProcess = regexp.MustCompile(`^(#|go_|process_|promhttp_)`)

func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: get PATH FILE [STATUS]")
	}
	want := http.StatusOK
	if len(args) == 3 {
		want, _ = strconv.Atoi(args[2])
	}
	status, body := fetch(ts, http.MethodGet, args[0], "")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(body), 0o600))
	if status != want {
		ts.Fatalf("GET %s answered %d, not %d:\n%s", args[0], status, want, body)
	}
}

func cmdPost(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: post PATH STATUS")
	}
	status, body := fetch(ts, http.MethodPost, args[0], "")
	ts.Check(os.WriteFile(ts.MkAbs("answer"), []byte(body), 0o600))
	if strconv.Itoa(status) != args[1] {
		ts.Fatalf("POST %s answered %d, not %s:\n%s", args[0], status, args[1], body)
	}
}

func cmdAwaitLog(ts *testscript.TestScript, neg bool, args []string) {
	file := "log"
	if len(args) == 2 {
		file, args = args[0], args[1:]
	}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: awaitlog [FILE] REGEXP")
	}
	re := regexp.MustCompile("(?m)" + args[0])
	poll(ts, file+" to match "+args[0], func() (string, bool) {
		data, err := os.ReadFile(ts.MkAbs(file))
		return string(data), err == nil && re.Match(data)
	})
}

func cmdCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: count N REGEXP FILE")
	}
	text := ts.ReadFile(args[2])
	n := len(regexp.MustCompile("(?m)"+args[1]).FindAllString(text, -1))
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d matches of %s, not %s, in:\n%s", n, args[1], args[0], text)
	}
}

func cmdCertificate(ts *testscript.TestScript, neg bool, args []string) {
	own := len(args) == 0 || args[0] != "-other"
	if !own {
		args = args[1:]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certificate [-other] CERT KEY")
	}
	ts.Check(makeCertificate(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
	if own {
		bridgeOf(ts).scheme = "https"
	}
}

// makeCertificate makes a self-signed certificate for 127.0.0.1, and its key.
func makeCertificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	)
}

var duration = regexp.MustCompile(` in \d+\.\d+s`)

func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same FILE WANT")
	}
	got := duration.ReplaceAllString(ts.ReadFile(args[0]), " in Xs")
	if want := ts.ReadFile(args[1]); got != want {
		ts.Fatalf("%s is not as in %s:\n%s", args[0], args[1], cmp.Diff(want, got))
	}
}

func cmdUnescape(ts *testscript.TestScript, _ bool, args []string) {
	escape := regexp.MustCompile(`\\r|\\x[0-9a-f]{2}`)
	for _, name := range args {
		text := escape.ReplaceAllStringFunc(ts.ReadFile(name), func(e string) string {
			c, err := strconv.Unquote(`"` + e + `"`)
			ts.Check(err)
			return c
		})
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func cmdHup(ts *testscript.TestScript, _ bool, _ []string) {
	hangUp(ts)
}

func cmdTerminate(ts *testscript.TestScript, neg bool, args []string) {
	b := bridgeOf(ts)
	if err := end(ts, b); !errors.Is(err, os.ErrProcessDone) { // by /-/quit
		ts.Check(err)
	}
	select {
	case <-b.done:
	case <-time.After(patience):
		ts.Fatalf("the bridge did not end; its log:\n%s", ts.ReadFile("log"))
	}
	if b.err != nil {
		ts.Fatalf("the bridge ended with %v; its log:\n%s", b.err, ts.ReadFile("log"))
	}
	cmdLeftovers(ts, false, nil)
}

// cmdLeftovers looks for anything that the scenario started: by its mark in the
// environment, or by the scenario's folder in its arguments.
func cmdLeftovers(ts *testscript.TestScript, _ bool, _ []string) {
	own := 0
	if b := bridgeOf(ts); b.cmd != nil {
		own = b.cmd.Process.Pid
	}
	poll(ts, "all that scripts started to be gone", func() (string, bool) {
		left := leftovers(ts.Getenv("SCENARIO"), own)
		return strings.Join(left, "\n"), len(left) == 0
	})
}
