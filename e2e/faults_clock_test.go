package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clockPatch makes time.Now add the seconds that a file holds to the wall clock,
// and leaves the monotonic one alone, as a clock that is set does.
const clockPatch = `
func Now() Time {
	t := realNow()
	if d := wallOffset(t); d != 0 {
		t.addSec(d)
	}
	return t
}

var wallOffsetCache struct {
	mu     sync.Mutex
	looked Time
	offset int64
}

func wallOffset(now Time) int64 {
	c := &wallOffsetCache
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.looked.IsZero() && now.Sub(c.looked) < 20*Millisecond {
		return c.offset
	}
	c.looked = now
	name, ok := syscall.Getenv("SCRIPTBRIDGE_TEST_CLOCK")
	if !ok {
		return 0
	}
	f, err := open(name)
	if err != nil {
		return c.offset
	}
	defer closefd(f)
	buf := make([]byte, 32)
	n, _ := read(f, buf)
	negative, v := false, int64(0)
	for _, b := range buf[:n] {
		switch {
		case b == '-':
			negative = true
		case '0' <= b && b <= '9':
			v = 10*v + int64(b-'0')
		}
	}
	if negative {
		v = -v
	}
	c.offset = v
	return v
}
`

// clockProgram builds the program with a clock that a test can set.
func clockProgram(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replaced := make(map[string]string)
	patch := func(name string, words ...string) (text string) {
		source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", name)
		data, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		text = string(data)
		for i := 0; i < len(words); i += 2 {
			if strings.Count(text, words[i]) != 1 {
				t.Fatalf("this Go's time/%s has not one %q: mend the patch", name, words[i])
			}
			text = strings.Replace(text, words[i], words[i+1], 1)
		}
		replaced[source] = filepath.Join(dir, name)
		return text
	}
	write(t, dir, "time.go", patch("time.go", "\nfunc Now() Time {\n", "\nfunc realNow() Time {\n", "import (", "import (\n\t\"sync\"\n\t\"syscall\"")+clockPatch)
	// The runtime calls this one, where no file can be read.
	write(t, dir, "sleep.go", patch("sleep.go", "Now().Add(Duration(-delta))", "realNow().Add(Duration(-delta))"))
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	built := filepath.Join(dir, "scriptbridge")
	build := exec.Command("go", "build", "-buildvcs=false", "-overlay="+write(t, dir, "overlay.json", string(overlay)), "-o", built, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the program with a clock of its own does not build: %v\n%s", err, out)
	}
	return built
}
