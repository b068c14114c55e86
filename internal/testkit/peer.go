package testkit

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// peer names the test that a process is there for.
const peer = "SCRIPTBRIDGE_TEST_PEER"

// StartPeer runs a test, which calls Peer, in a process of its own, whose processor
// time and memory are not those of who measures. It gives the peer's address.
func StartPeer(tb testing.TB, test string) string {
	tb.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$") // #nosec G204 G702 -- this test itself
	cmd.Env = append(os.Environ(), peer+"="+test)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// Peer is the peer's side: it serves until who started it ends. Otherwise the test
// is skipped.
func Peer(t *testing.T, serve func(net.Listener)) {
	t.Helper()
	if os.Getenv(peer) != t.Name() {
		t.Skip("it is the other end of a benchmark")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, listener.Addr())
	go serve(listener)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
