package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What Windows has not is refused there when the file is read, and not when a receiver
// cannot open it.
func TestReceiveUnixSockets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "scriptbridge.yml")
	text := "receive:\n  statsd:\n    udp: 127.0.0.1:8125\n    unixgram: statsd.sock\n  collectd:\n    udp: 127.0.0.1:8125\n    unixsock: collectd.sock\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(nil, file, nil)
	if runtime.GOOS != "windows" {
		folder := filepath.Dir(file)
		if err != nil || c.Receive.StatsD.Unixgram != filepath.Join(folder, "statsd.sock") || c.Receive.Collectd.Unixsock != filepath.Join(folder, "collectd.sock") {
			t.Errorf("%+v, %v", c, err)
		}
		return
	}
	want := []string{
		file + ":4: receive: statsd: unixgram: Windows has no Unix datagram sockets (give it a udp or tcp)",
		file + ":7: receive: collectd: unixsock: collectd has no such socket on Windows (give it a udp or http_path)",
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("error %v", err)
	}
}
