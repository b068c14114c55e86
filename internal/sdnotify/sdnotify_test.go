package sdnotify

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

// listen opens a socket as a service manager does.
func listen(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no Unix datagram sockets, and no systemd")
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestSend(t *testing.T) {
	names := map[string]string{"a path": filepath.Join(t.TempDir(), "notify")}
	if runtime.GOOS == "linux" {
		names["an abstract socket"] = "@scriptbridge-test-" + strconv.Itoa(os.Getpid())
	}
	for what, name := range names {
		t.Run(what, func(t *testing.T) {
			conn := listen(t, name)
			t.Setenv("NOTIFY_SOCKET", name)
			t.Setenv("WATCHDOG_USEC", "30000000")
			t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
			m, err := FromEnvironment()
			if err != nil || m == nil || m.Watchdog != 30*time.Second {
				t.Fatalf("it is %+v, %v", m, err)
			}
			for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
				if text, ok := os.LookupEnv(name); ok {
					t.Errorf("%s=%s is still there for others", name, text)
				}
			}
			if err := m.Send(Ready, Status("two\nlines")); err != nil {
				t.Fatal(err)
			}
			if got := testkit.Datagram(t, conn); got != "READY=1\nSTATUS=two lines" {
				t.Errorf("it was told %q", got)
			}
			if err := m.Send(Reloading()); err != nil {
				t.Fatal(err)
			}
			if got := testkit.Datagram(t, conn); !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9]\d*$`).MatchString(got) {
				t.Errorf("it was told %q", got)
			}
			conn.Close()
			os.Remove(name)
			if err := m.Send(Watchdog); err == nil {
				t.Error("nobody listens, and there is no error")
			}
		})
	}
}

func TestFromEnvironment(t *testing.T) {
	for _, c := range []struct {
		name, socket, usec, pid string
		want                    *Manager
		err                     string
	}{
		{"no service manager", "", "", "", nil, ""},
		{"a watchdog alone", "", "1000000", "", nil, ""},
		{"a socket alone", "/run/n", "", "", &Manager{socket: "/run/n"}, ""},
		{"another process's watchdog", "/run/n", "1000000", "1", &Manager{socket: "/run/n"}, ""},
		{"a watchdog of no process", "/run/n", "1000000", "", &Manager{"/run/n", time.Second}, ""},
		{"no number", "/run/n", "soon", "", &Manager{socket: "/run/n"}, `error converting WATCHDOG_USEC: strconv.Atoi: parsing "soon": invalid syntax`},
		{"no socket of this machine", "vsock:2:1234", "", "", nil, `NOTIFY_SOCKET="vsock:2:1234" is neither a path nor an abstract socket`},
		{"a root alone", "/", "", "", nil, `NOTIFY_SOCKET="/" is neither a path nor an abstract socket`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("NOTIFY_SOCKET", c.socket)
			t.Setenv("WATCHDOG_USEC", c.usec)
			t.Setenv("WATCHDOG_PID", c.pid)
			m, err := FromEnvironment()
			if (m == nil) != (c.want == nil) || m != nil && *m != *c.want {
				t.Errorf("it is %+v, not %+v", m, c.want)
			}
			if text := ""; err != nil || c.err != "" {
				if err != nil {
					text = err.Error()
				}
				if text != c.err {
					t.Errorf("the error is %q, not %q", text, c.err)
				}
			}
		})
	}
	if err := (*Manager)(nil).Send(Ready); err != nil {
		t.Error(err)
	}
}

// A service manager that reads nothing any more holds up nobody for long.
func TestSendUnread(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere a full socket refuses at once")
	}
	name := filepath.Join(t.TempDir(), "notify")
	listen(t, name)
	m := &Manager{socket: name}
	for range 100_000 {
		if err := m.Send(Watchdog); err != nil {
			return
		}
	}
	t.Error("it takes what nobody reads")
}
