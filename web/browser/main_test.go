// Package browser_test looks at the pages as people do: in Debian's chromium, by sight
// of axe-core, by keyboard, without JavaScript. `make pages` runs it.
package browser_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var (
	update   = flag.Bool("update", false, "make the README's pictures anew")
	pictures = flag.String("pictures", "", "a folder for pictures of many scripts, to look at")
)

const patience = time.Minute

// launch starts a browser, and gives the context of its first tab.
func launch(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			t.Fatal("chromium is missing (Debian: apt-get install chromium)")
		}
		t.Skip("chromium is missing (Debian: apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		// A name that is not localhost: what is private is not shown to who asks by it.
		chromedp.Flag("host-resolver-rules", "MAP bridge.example 127.0.0.1"),
		// Bars of scrolling take room that a phone does not give them.
		chromedp.Flag("hide-scrollbars", true))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	return browser
}

// tab is a page in the browser.
type tab struct {
	*testing.T
	ctx context.Context
	mu  sync.Mutex
	// complaints are what the browser said on its console.
	complaints []string
}

// look is how a tab shows pages.
type look struct {
	width, height int64
	dark          bool
}

func (l look) String() string {
	theme := "light"
	if l.dark {
		theme = "dark"
	}
	return fmt.Sprintf("%d-%s", l.width, theme)
}

var (
	desktop = look{width: 1280, height: 900}
	phone   = look{width: 390, height: 844}
	looks   = []look{desktop, phone, {1280, 900, true}, {390, 844, true}}
)

func open(t *testing.T, browser context.Context, l look) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	p := &tab{T: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	theme := "light"
	if l.dark {
		theme = "dark"
	}
	p.do(chromedp.EmulateViewport(l.width, l.height))
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
	call(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return p
}

// hear keeps what the browser complains of. That a page was answered with an error is
// no complaint of what is in it.
func (p *tab) hear(event any) {
	text := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			text = string(e.Entry.Source) + ": " + e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
	}
	if text != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.complaints = append(p.complaints, text)
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatal(err)
	}
}

func call[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.Helper()
	p.do(chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, command, params)
		return err
	}))
}

// eval gives what JavaScript, an expression or a promise, comes to in a page.
func eval[T any](p *tab, script string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%v\n%s", err, script)
	}
	return v
}

// await asks until the answer is yes.
func await(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ask(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// bridge is a running scriptbridge.
type bridge struct{ base, dir string }

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// serve runs the program that make has built in a folder that has its configuration.
func serve(t *testing.T, dir, config string, flags ...string) bridge {
	t.Helper()
	program := os.Getenv("SCRIPTBRIDGE")
	if program == "" {
		t.Fatal("SCRIPTBRIDGE names no program (make pages builds and names it)")
	}
	output := new(output)
	cmd := exec.Command(program, append([]string{"--config.file=" + config, "--web.listen-address=127.0.0.1:0"}, flags...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-done; err != nil {
			t.Errorf("the bridge ended with %v: %s", err, output)
		}
	})
	var address []string
	await(t, "the bridge to listen", func() bool {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("the bridge has ended: %s", output)
		default:
		}
		address = listening.FindStringSubmatch(output.String())
		return address != nil
	})
	return bridge{"http://" + address[1], dir}
}

// output is what a program prints, read while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// get gives a page as programs get it.
func (b bridge) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(b.base + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ran is said when each script has run; a receiver that cannot listen may be waited for
// still.
var ran = regexp.MustCompile(`^scriptbridge is (ready|not ready; it waits for receiver \w+)\s*$`)

// ready waits until each script has run.
func (b bridge) ready(t *testing.T) {
	t.Helper()
	await(t, "each script to have run", func() bool { return ran.MatchString(b.get(t, "/-/ready")) })
}

// everything is a bridge that has all that a page can show, each script run once.
func everything(t *testing.T) bridge {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/everything")); err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	port := func(a net.Addr) string { return a.String()[strings.LastIndex(a.String(), ":")+1:] }
	config := filepath.Join(dir, "scriptbridge.yml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	statsd := port(free.LocalAddr())
	free.Close()
	filled := strings.NewReplacer("EXAMPLES", examples, "STATSD", statsd, "TAKEN", port(taken.LocalAddr()), "DEAD", "1").Replace(string(text))
	for name, text := range map[string]string{"scriptbridge.yml": filled, "tokens": "secret-of-the-clients"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := serve(t, dir, config, "--web.enable-lifecycle", "--storage.path="+t.TempDir())
	conn, err := net.Dial("udp", "127.0.0.1:"+statsd)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	await(t, "the receivers to listen", func() bool {
		return strings.Contains(b.get(t, "/metrics"), `scriptbridge_receiver_up{receiver="statsd"} 1`)
	})
	fmt.Fprint(conn, "shop.orders:1|c\nshop.wait:320|ms\nnonsense")
	b.ready(t)
	for _, target := range []string{"up", "down"} {
		b.get(t, "/probe?script=asked&target="+target)
	}
	for _, series := range []string{`script_runs_total{script="again",result="ok"} [3-9]`, `receiver_refused_total{receiver="statsd",reason="malformed"} 1`, `upload_up{upload="coscale"} 0`} {
		pattern := regexp.MustCompile(`(?m)^scriptbridge_` + strings.NewReplacer("{", `\{`, "}", `\}`).Replace(series))
		await(t, series, func() bool { return pattern.MatchString(b.get(t, "/metrics")) })
	}
	return b
}
