package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"scriptbridge/internal/terminal"
	"scriptbridge/record"
	"scriptbridge/status"
)

// output is standard output. When it has been written to so many times, the command
// is interrupted.
type output struct {
	text      strings.Builder
	left      int
	interrupt context.CancelFunc
}

func (o *output) Write(p []byte) (int, error) {
	if o.left--; o.left == 0 {
		o.interrupt()
	}
	return o.text.Write(p)
}

// watched gives what --watch writes in three rounds to a terminal of so many lines,
// or to a pipe. The second round's request fails.
func watched(t *testing.T, format string, lines int) string {
	t.Helper()
	asked := 0
	bridge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 2 {
			http.Error(w, `{"status":"error","error":"a word of it \u001b[2J"}`, http.StatusInternalServerError)
			return
		}
		text, err := status.JSON(status.Overview{
			Config: status.Configuration{OK: true}, States: map[status.State]int{status.OK: 1},
			Uploads: []status.Upload{{Name: fmt.Sprint("round", asked), State: status.OK}},
		}, "")
		if err != nil {
			t.Error(err)
		}
		w.Write(text)
	}))
	defer bridge.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &output{left: 3, interrupt: cancel}
	a := &ask{
		Env: &Env{Stdout: out}, out: terminal.New(out, out, "never"), url: bridge.URL, timeout: 10 * time.Second, output: format, watch: true, interval: time.Millisecond,
		screen: func() (int, bool) { return lines, lines > 0 },
	}
	a.Raw[0] = out
	if err := a.run(ctx); err != nil {
		t.Error(err)
	}
	return strings.ReplaceAll(out.text.String(), bridge.URL, "http://bridge")
}

const (
	quietLine  = "OK: 0 scripts | scripts=0 failing=0 critical=0 warning=0 unknown=0 refused=0 receivers_down=0 uploads_failing=0 series=0"
	failedLine = "UNKNOWN: http://bridge/api/v1/status answered with status 500: a word of it [2J"
	headLine   = "UPLOAD  STATE  QUEUED  OLDEST  SENT  REFUSED  WHY"
)

func TestWatchInPipe(t *testing.T) {
	row := func(n int) string {
		return fmt.Sprintf("round%d  ok     0       -       0     0        -", n)
	}
	want := quietLine + "\n\n" + headLine + "\n" + row(1) + "\n\n" + failedLine + "\n\n" + quietLine + "\n\n" + headLine + "\n" + row(3) + "\n"
	if got := watched(t, "text", 0); got != want {
		t.Errorf("it printed\n%q, want\n%q", got, want)
	}
	if got := watched(t, "json", 0); strings.Count(got, "\n}\n") != 2 || strings.Count(got, failedLine) != 1 {
		t.Errorf("it printed\n%s", got)
	}
}

// A terminal shows the last round and nothing else: what was there before is written
// over, and no line is cleared before there is another.
func TestWatchOnTerminal(t *testing.T) {
	for _, lines := range []int{24, 3} {
		got := watched(t, "text", lines)
		frames := strings.SplitAfter(got, "\x1b[J\x1b[?7h")
		if len(frames) != 4 || frames[3] != "" {
			t.Fatalf("%d frames:\n%q", len(frames), got)
		}
		for i, f := range frames[:3] {
			body, ok := strings.CutPrefix(f, "\x1b[?7l\x1b[H")
			shown := strings.Split(strings.TrimSuffix(body, "\x1b[J\x1b[?7h"), "\x1b[K\n")
			if !ok || len(shown)-1 >= lines || strings.Contains(body, "\x1b[2J") {
				t.Errorf("frame %d of %d lines: %q", i, lines, f)
			}
			first := quietLine
			if i == 1 {
				first = failedLine
			}
			if shown[0] != first || lines == 3 && i != 1 && shown[1] != "… 3 more lines" {
				t.Errorf("frame %d shows %q", i, shown)
			}
		}
	}
}

// The exit code is that of the worst, and the first line says what that is.
func TestStatusCodes(t *testing.T) {
	script := func(name string, s status.State, refused int) status.Script {
		one := status.Script{Name: name, State: s, Refused: refused, Last: &status.Run{Result: record.OK}}
		return one
	}
	for _, c := range []struct {
		overview status.Overview
		code     status.Severity
		text     string
	}{
		{status.Overview{}, 0, "OK: 0 scripts"},
		{status.Overview{Scripts: []status.Script{script("a", status.OK, 0), script("b", status.NotYetRun, 0), script("c", status.OnRequest, 0), script("d", status.Disabled, 0)}}, 0, "OK: 4 scripts"},
		{status.Overview{Scripts: []status.Script{script("a", status.Failing, 1), script("b", status.Critical, 0)}}, 2, "CRITICAL: 2 scripts: 1 failing (a), 1 critical (b), 1 with refused lines (a)"},
		{status.Overview{Scripts: []status.Script{script("a", status.OK, 7)}}, 1, "WARNING: 1 script: 1 with refused lines (a)"},
		{status.Overview{Scripts: []status.Script{script("a", status.Unknown, 0), script("b|c\n", status.Warning, 0)}}, 1, "WARNING: 2 scripts: 1 warning (b¦c ), 1 unknown (a)"},
		{status.Overview{Receivers: []status.Receiver{{Name: "r", State: status.Opening}}, Uploads: []status.Upload{{Name: "u", State: status.Opening, Cause: "x"}}}, 0, "OK: 0 scripts"},
		{status.Overview{Receivers: []status.Receiver{{Name: "r", State: status.Down, Cause: "x"}, {Name: "s", State: status.Open, Cause: "x"}}}, 2, "CRITICAL: 0 scripts: 1 receiver down (r), 1 receiver with refused series (s)"},
		{status.Overview{Receivers: []status.Receiver{{Name: "s", State: status.Open, Refused: 1}}}, 1, "WARNING: 0 scripts: 1 receiver with refused series (s)"},
		{status.Overview{
			Scripts: []status.Script{script("a", "melting", 0)}, Receivers: []status.Receiver{{Name: "r", State: ""}}, Uploads: []status.Upload{{Name: "u", State: "melting"}},
		}, 1, "WARNING: 1 script: 3 in a state that this version does not know (a, r, u)"},
		{status.Overview{Textfile: &status.Textfile{State: status.Opening}}, 0, "OK: 0 scripts"},
		{status.Overview{Textfile: &status.Textfile{State: status.Failing}}, 2, "CRITICAL: 0 scripts: the file for node_exporter is not written"},
		{status.Overview{Uploads: []status.Upload{{Name: "u", State: status.Failing}}}, 2, "CRITICAL: 0 scripts: 1 upload failing (u)"},
	} {
		c.overview.Config.OK = true
		if got := c.overview.Severity(); got != c.code {
			t.Errorf("%s: %d, want %d", c.text, got, c.code)
		}
		if got, _, _ := strings.Cut(pluginLine(&c.overview), " | "); got != c.text {
			t.Errorf("%q, want %q", got, c.text)
		}
		if c.overview.Config.OK = false; c.overview.Severity() != max(c.code, status.Minor) || !strings.Contains(pluginLine(&c.overview), "the last reload failed |") {
			t.Errorf("%s: %d, %s", c.text, c.overview.Severity(), pluginLine(&c.overview))
		}
	}
}

func TestStatusURL(t *testing.T) {
	for given, want := range map[string]string{
		"http://a:1":              "http://a:1/api/v1/status",
		"https://a/behind/proxy/": "https://a/behind/proxy/api/v1/status",
		":10469":                  "http://127.0.0.1:10469/api/v1/status",
		"0.0.0.0:1":               "http://127.0.0.1:1/api/v1/status",
		"[::]:1":                  "http://127.0.0.1:1/api/v1/status",
		"[::1]:1":                 "http://[::1]:1/api/v1/status",
		"example.org:1":           "http://example.org:1/api/v1/status",
	} {
		if got, err := statusURL(given); got != want || err != nil {
			t.Errorf("%s: %s (%v), want %s", given, got, err, want)
		}
	}
	for _, given := range []string{"", "a", "http://", "http://a?b", "http://a#b", "ftp://a", "http://u:p@a", "http://a b"} {
		if got, err := statusURL(given); err == nil {
			t.Errorf("%s: %s", given, got)
		}
	}
}

// asked gives what the command prints of a bridge that answers in this way.
func asked(t *testing.T, url, config string) string {
	t.Helper()
	var out strings.Builder
	a := &ask{Env: &Env{Stdout: &out}, out: terminal.New(&out, &out, "never"), url: url, timeout: 10 * time.Second, interval: time.Second, output: "text", screen: func() (int, bool) { return 0, false }}
	if config != "" {
		a.httpConfig = filepath.Join(t.TempDir(), "client.yml")
		if err := os.WriteFile(a.httpConfig, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var exit *ExitError
	if err := a.run(t.Context()); err != nil && !errors.As(err, &exit) {
		t.Errorf("%T %v", err, err)
	}
	return out.String()
}

// What is at the URL need not be a bridge of this version: whatever it answers, the
// command ends with a line that a terminal does not obey, and well is nothing that
// it does not know.
func TestStatusOfOthers(t *testing.T) {
	const script = `{"script_states":{},"configuration":{"ok":true},"scripts":[%s]}`
	for answer, want := range map[string]string{
		`[]`:                         "UNKNOWN: ",
		`{"script_states":null}`:     "UNKNOWN: ",
		`{"scripts":`:                "UNKNOWN: ",
		strings.Repeat(`[`, 100_000): "UNKNOWN: ",
		fmt.Sprintf(script, `null`):  "WARNING: ",
		fmt.Sprintf(script, `{}`):    "WARNING: ",
		fmt.Sprintf(script, `{"name":"a","state":"failing"}`):                                                                               "CRITICAL: 1 script: 1 failing (a) ",
		fmt.Sprintf(script, `{"name":"a","state":"failing","last_run":{}}`):                                                                 "CRITICAL: 1 script: 1 failing (a) ",
		fmt.Sprintf(script, `{"name":"a\u001b[2J\u202e|b","state":"\u009b31m","activity":"\u0007","last_run":{"duration_seconds":-1e300}}`): "WARNING: 1 script: 1 in a state that this version does not know (a[2J¦b) | ",
		fmt.Sprintf(script, `{"name":"a","state":"ok","next_run":"9999-01-01T00:00:00Z","last_run":{"start":"0001-01-02T00:00:00Z"}}`):      "OK: 1 script | ",
	} {
		bridge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
		got := asked(t, bridge.URL, "")
		bridge.Close()
		if !strings.HasPrefix(got, want) {
			t.Errorf("%.80s: %q, want %q", answer, got, want)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("%.80s: a terminal obeys %q", answer, got)
		}
	}
}

// What is sent to a bridge is for it alone: it is not sent on to where a redirect leads,
// be it another port of the same host.
func TestStatusRedirected(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("asked elsewhere, with %v", r.Header)
	}))
	defer elsewhere.Close()
	bridge := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/api", http.StatusTemporaryRedirect))
	defer bridge.Close()
	got := asked(t, bridge.URL, "http_headers: {X-Key: {secrets: [sesame]}}\nbasic_auth: {username: admin, password: sesame}\n")
	want := "UNKNOWN: " + bridge.URL + "/api/v1/status answered with status 307: it leads to " + elsewhere.URL + "/api, which is not followed (if the bridge is there, give --url)\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestStatusWithoutTLS(t *testing.T) {
	bridge := httptest.NewServer(http.NotFoundHandler())
	defer bridge.Close()
	url := strings.Replace(bridge.URL, "http", "https", 1)
	want := "UNKNOWN: " + url + "/api/v1/status cannot be asked: http: server gave HTTP response to HTTPS client (write --url=http://…)\n"
	if got := asked(t, url, ""); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
