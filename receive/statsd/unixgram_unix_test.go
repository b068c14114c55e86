//go:build unix

package statsd

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/receive/receivertest"
)

// The socket of packets: who may write, what it replaces, and its end.
func TestUnixgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "statsd.sock")
	stale, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	stale.Close() // the file stays
	r := receiverAt(t, &config.ReceiveStatsD{Unixgram: path})
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	io.WriteString(receivertest.Dial(t, "unixgram", path), "a:1|c\nb:2|g")
	r.Poll(t, "the packet", func() bool {
		return cmp.Equal(map[string]float64{"a{}": 1, "b{}": 2}, r.State())
	})
	if err := clearSocket(path); err == nil || err.Error() != path+" is in use: another program listens on it" {
		t.Errorf("a second listener: %v", err)
	}
	r.stop(t)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is there at the end: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := clearSocket(path); err == nil || err.Error() != path+" is there and is no socket; name another path" {
		t.Errorf("a file: %v", err)
	}
}

// Who may write the socket's folder may have put a link in its place before the mode
// is changed: what it leads to keeps its own.
func TestUnixgramReplaced(t *testing.T) {
	folder, private := t.TempDir(), filepath.Join(t.TempDir(), "private")
	within := filepath.Join(folder, "within")
	for _, target := range []string{private, within, "within"} {
		if err := os.WriteFile(filepath.Join(folder, "within"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(private, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "socket")
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		if _, err := openToAll(path); err == nil || err.Error() != path+" is no socket any more: something else was put in its place" {
			t.Errorf("a link to %s: %v", target, err)
		}
		for _, file := range []string{private, within} {
			if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
				t.Errorf("a link to %s: %s has mode %v, %v", target, file, info.Mode(), err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A packet that the kernel has cut off loses its end, and the line that is cut
// is not taken for a whole one.
func TestLongPacket(t *testing.T) {
	r := receiverAt(t, &config.ReceiveStatsD{Unixgram: filepath.Join(t.TempDir(), "socket")})
	const lines = (maxPacket - 5) / 6
	packet := strings.Repeat("\n", (maxPacket-5)%6) + strings.Repeat("a:1|c\n", lines) + "b:1|c|@0.1\nc:1|c\n" // cut behind b:1|c
	io.WriteString(receivertest.Dial(t, "unixgram", r.Address(t, "unixgram")), packet)
	r.Poll(t, "the packet", func() bool { return cmp.Equal([]string{"too_long"}, r.Refused()) })
	if diff := cmp.Diff(map[string]float64{"a{}": lines}, r.State()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
