package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needCollectd finds collectd, with the plugins that the test loads.
func needCollectd(t *testing.T) string {
	t.Helper()
	const program = "/usr/sbin/collectd"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			t.Fatalf("there is no collectd (%v), and SCRIPTBRIDGE_E2E=required", err)
		}
		t.Skipf("there is no collectd: %v (Debian: apt-get install collectd-core libyajl2 libcurl3-gnutls libgcrypt20)", err)
	}
	return program
}

// TestCollectd has a real collectd send its values by packets, as security_level
// says, and by write_http, and be polled; and a notification by both.
func TestCollectd(t *testing.T) {
	collectd := needCollectd(t)
	for _, level := range []string{"none", "sign", "encrypt"} {
		t.Run(level, func(t *testing.T) {
			dir := t.TempDir()
			auth := write(t, dir, "auth", "alice: secret\n")
			if err := os.Chmod(auth, 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			udp := l.LocalAddr().String()
			l.Close()
			sock := filepath.Join(dir, "sock")
			b := startBridge(t, dir, write(t, dir, "scriptbridge.yml", fmt.Sprintf(
				"receive:\n  collectd: {udp: %q, security_level: %s, auth_file: auth, http_path: /collectd-post, unixsock: %s, interval: 1s, ttl: 1m}\n",
				udp, level, sock)))
			_, port, _ := net.SplitHostPort(udp)
			start(t, dir, collectd, "-f", "-C", write(t, dir, "collectd.conf", fmt.Sprintf(`
Hostname "e2e"
FQDNLookup false
BaseDir %[1]q
PIDFile "%[1]s/pid"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin load
LoadPlugin uptime
LoadPlugin network
LoadPlugin write_http
LoadPlugin unixsock
<Plugin unixsock>
  SocketFile %[2]q
</Plugin>
<Plugin network>
  <Server "127.0.0.1" %[3]q>
    SecurityLevel %[4]q
    Username "alice"
    Password "secret"
  </Server>
</Plugin>
<Plugin write_http>
  <Node "bridge">
    URL "http://%[5]s/collectd-post"
    Format "JSON"
    Notifications true
    BufferSize 1024
  </Node>
</Plugin>
`, dir, sock, port, level, b.address)))
			var conn net.Conn
			eventually(t, "collectd's socket", func() (err error) {
				conn, err = net.Dial("unix", sock)
				return err
			})
			defer conn.Close()
			fmt.Fprintf(conn, "PUTNOTIF severity=failure time=%d host=e2e plugin=df type=df_complex message=\"disk full\"\n", 1_700_000_000)
			number := `[-+]?[0-9.]+(e[-+]?[0-9]+)?`
			for _, want := range []string{
				`collectd_load_shortterm{instance="e2e"} N`,
				`collectd_load_longterm{instance="e2e"} N`,
				`collectd_uptime{instance="e2e"} N`,
				`collectd_event_info{.*host="e2e".*} 1`,
				`scriptbridge_receiver_packets_total{listener="udp",receiver="collectd"} [1-9].*`,
				`scriptbridge_receiver_packets_total{listener="http",receiver="collectd"} [1-9].*`,
				`scriptbridge_receiver_packets_total{listener="unixsock",receiver="collectd"} [1-9].*`,
				`scriptbridge_receiver_dropped_total{reason="unauthorized",receiver="collectd"} 0`,
			} {
				form := strings.NewReplacer("{", `\{`, "}", `\}`, " N", " "+number).Replace(want)
				re := regexp.MustCompile("(?m)^" + form + "$")
				eventually(t, want, func() error {
					if page := b.page(t); !re.MatchString(page) {
						return fmt.Errorf("the page:\n%s", page)
					}
					return nil
				})
			}
		})
	}
}
