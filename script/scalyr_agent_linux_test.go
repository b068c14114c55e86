package script

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"scriptbridge/config"
)

// TestDiscoverScalyrReads: how often the agent's configuration is read does not
// depend on how many monitors it names.
func TestDiscoverScalyrReads(t *testing.T) {
	reads := func(monitors int) int {
		dir := t.TempDir()
		var all []string
		for i := range monitors {
			all = append(all, fmt.Sprintf(`{module: "some_module", id: "m%d"}`, i))
		}
		file := filepath.Join(dir, "agent.json")
		if err := os.WriteFile(file, []byte("{monitors: ["+strings.Join(all, ",")+"]}"), 0o600); err != nil {
			t.Fatal(err)
		}
		opens := countOpens(t, file)
		d := &config.Discover{AgentConfig: file}
		d.Dialect, d.Env = "scalyr", map[string]config.Secret{"A": "1"}
		scripts, _, err := Resolve(&config.Config{Discover: []*config.Discover{d}})
		if err != nil || len(scripts) != monitors {
			t.Fatalf("%d scripts, %v", len(scripts), err)
		}
		for _, s := range scripts {
			if len(s.seen) != 64 {
				t.Fatalf("%s sees %q", s.Name, s.seen)
			}
		}
		return opens()
	}
	if few, many := reads(2), reads(50); few == 0 || few != many {
		t.Errorf("it is opened %d times for 2 monitors and %d times for 50", few, many)
	}
}

// countOpens watches a file, and gives what tells how often it has been opened.
func countOpens(t *testing.T, file string) func() int {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	// Closing too, since the kernel merges events that are the same.
	if _, err := syscall.InotifyAddWatch(fd, file, syscall.IN_OPEN|syscall.IN_CLOSE_NOWRITE); err != nil {
		t.Fatal(err)
	}
	return func() (opens int) {
		buf := make([]byte, 64<<10)
		for {
			n, err := syscall.Read(fd, buf)
			if err != nil || n <= 0 {
				return opens
			}
			for event := buf[:n]; len(event) >= syscall.SizeofInotifyEvent; {
				if binary.NativeEndian.Uint32(event[4:])&syscall.IN_OPEN != 0 {
					opens++
				}
				event = event[syscall.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(event[12:])):]
			}
		}
	}
}
