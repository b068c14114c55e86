package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// collector is Instrumental's, as far as its protocol goes: it answers ok to
// the two lines of the greeting, and nothing to all others.
type collector struct {
	net.Listener
	mu    sync.Mutex
	lines []string
}

// listenAsCollector begins one, over TLS, at an address or at a free one.
func listenAsCollector(t *testing.T, address string, config *tls.Config) *collector {
	t.Helper()
	l, err := tls.Listen("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.talk(conn)
		}
	}()
	return c
}

func (c *collector) talk(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	for i := 0; in.Scan(); i++ {
		if i < 2 {
			fmt.Fprintln(conn, "ok")
		}
		c.mu.Lock()
		c.lines = append(c.lines, in.Text())
		c.mu.Unlock()
	}
}

// count counts the lines that match.
func (c *collector) count(re string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.lines {
		if regexp.MustCompile(re).MatchString(l) {
			n++
		}
	}
	return n
}

// TestInstrumentalUpload: what scripts of two kinds measure arrives at
// Instrumental's collector by the names that its own daemon gave, also what was
// measured before the collector was there.
func TestInstrumentalUpload(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS() // for its certificate alone
	defer server.Close()
	first := listenAsCollector(t, "127.0.0.1:0", server.TLS)
	address := first.Addr().String()
	first.Close() // the bridge finds nobody there

	dir := t.TempDir()
	scripts := filepath.Join(dir, "scripts")
	if err := os.Mkdir(scripts, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, scripts, "app.sh", "#!/bin/sh\necho load.one 0.25\n")
	if err := os.Chmod(filepath.Join(scripts, "app.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "jobs.sh", `#!/bin/sh
[ "$1" = -c ] && echo '{"metrics": [{"id": 1, "name": "Jobs done", "datatype": "COUNT", "calctype": "Instant"}], "events": [{"id": 1, "name": "Deployed"}]}'
[ "$1" = -d ] && printf 'M1 2\nE1 1700000000 1700000060 "v2 is out" "{}"\n'
exit 0
`)
	key := write(t, dir, "key", "0123456789abcdef\n")
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	write(t, dir, "bridge.yml", fmt.Sprintf(`
scripts: [{command: ./jobs.sh, interval: 1s}]
discover: [{dialect: instrumental, directory: scripts, interval: 1s}]
receive: {statsd: {unixgram: statsd.sock}}
upload: {instrumental: {collector: %q, api_key_file: key, host: web-01.example.org, ca_file: ca.pem}}
`, address))
	b := startBridge(t, dir, "bridge.yml", "--storage.path="+filepath.Join(dir, "state"))
	client, err := net.Dial("unixgram", filepath.Join(dir, "statsd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("web.hits:5|c\nweb.load:250|ms|@0.5")); err != nil {
		t.Fatal(err)
	}
	var waited float64
	eventually(t, "a failure, and something of both scripts to wait", func() error {
		page := b.page(t)
		waited = sumOf(t, b, `scriptbridge_upload_queue_length{upload="instrumental"}`)
		if !strings.Contains(page, `scriptbridge_upload_up{upload="instrumental"} 0`) || waited < 5 {
			return fmt.Errorf("the page:\n%s", page)
		}
		return nil
	})

	again := listenAsCollector(t, address, server.TLS)
	eventually(t, "what waited to arrive", func() error {
		if sent := sumOf(t, b, `scriptbridge_upload_sent_total{upload="instrumental"}`); sent < waited {
			return fmt.Errorf("%v of %v are sent; the collector has %q", sent, waited, again.lines)
		}
		return nil
	})
	b.stop()
	again.mu.Lock()
	lines := slices.Clone(again.lines)
	again.mu.Unlock()
	if !strings.HasPrefix(lines[0], "hello version go/scriptbridge/") || lines[1] != "authenticate 0123456789abcdef" {
		t.Errorf("it was greeted with %q", lines[:2])
	}
	for re, least := range map[string]int{
		`^gauge web-01\.example\.org\.app\.load\.one 0\.25 \d{10} 1$`:     1,
		`^increment web-01\.example\.org\.jobs\.Jobs_done 2 \d{10} 1$`:    1,
		`^increment web\.hits 5 \d{10} 1$`:                                1,
		`^gauge web\.load\.mean 500 \d{10} 2$`:                            1,
		`^notice 1700000000 60 web-01\.example\.org Deployed: v2 is out$`: 1,
	} {
		if n := again.count(re); n < least {
			t.Errorf("%d lines match %s:\n%s", n, re, strings.Join(lines, "\n"))
		}
	}
	if n := again.count(`^notice `); n != 1 {
		t.Errorf("the event was said %d times", n)
	}
	if strings.Contains(b.text(), "0123456789abcdef") {
		t.Error("the key is in the log")
	}
}
