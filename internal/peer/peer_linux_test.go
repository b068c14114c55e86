package peer

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// client is what another user does: it connects, says a word, and waits.
const client = "SCRIPTBRIDGE_PEER_TEST"

func TestMain(m *testing.M) {
	if to := os.Getenv(client); to != "" {
		network, address, _ := strings.Cut(to, " ")
		c, err := net.Dial(network, address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(c, "hello")
		_, _ = bufio.NewReader(c).ReadString('\n') // until we are done
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The owner of each kind of connection is the user who has opened it.
func TestUID(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	dir, err := os.MkdirTemp("/tmp", "peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	exe := filepath.Join(dir, "client")
	if err := errors.Join(os.Chmod(dir, 0o755), copyFile(os.Args[0], exe)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ network, listen, dial string }{
		{"tcp", "127.0.0.1:0", ""},
		{"tcp", "[::1]:0", ""},
		{"tcp", "[::]:0", "127.0.0.1"}, // the list of IPv4 has the client's end, that of IPv6 ours
		{"unix", filepath.Join(dir, "s"), ""},
	} {
		for _, uid := range []uint32{0, 61001} {
			t.Run(fmt.Sprintf("%s %s by %d", test.network, test.listen, uid), func(t *testing.T) {
				l, err := net.Listen(test.network, test.listen)
				if err != nil {
					t.Skipf("cannot listen: %v", err)
				}
				defer l.Close()
				address := l.Addr().String()
				if test.network == "unix" {
					if err := os.Chmod(address, 0o777); err != nil {
						t.Fatal(err)
					}
				} else if test.dial != "" {
					address = net.JoinHostPort(test.dial, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
				}
				cmd := exec.Command(exe)
				cmd.Env = []string{client + "=" + test.network + " " + address}
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
				cmd.Stderr = os.Stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				if got, err := Of(c); err != nil || got.Name != fmt.Sprint("uid ", uid) || got.Own != (uid == 0) {
					t.Errorf("got %+v, %v", got, err)
				}
				fmt.Fprintln(c, "done")
				_ = c.Close()
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}
