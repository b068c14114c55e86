package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const coinMonitor = `import random

from scalyr_agent import ScalyrMonitor


class Coin(ScalyrMonitor):
    def _initialize(self):
        self.count = 0

    def gather_sample(self):
        self.count += 1
        self._logger.emit_value("uniform", random.random(), {"count": self.count})
`

// TestFiftyMonitors keeps fifty Scalyr monitors alive at once, tells what memory
// they and the bridge take, and looks that none is left at the end.
func TestFiftyMonitors(t *testing.T) {
	const monitors = 50
	need(t, "python3")
	dir := t.TempDir()
	write(t, dir, "coin.py", coinMonitor)
	var config strings.Builder
	config.WriteString("global: {interval: 5s, max_concurrent: 4}\nscripts:\n")
	for i := range monitors {
		fmt.Fprintf(&config, "  - {dialect: scalyr, options: {module: coin, id: n%02d}}\n", i)
	}
	begin := time.Now()
	b := startBridge(t, dir, write(t, dir, "scriptbridge.yml", config.String()))
	sampled := regexp.MustCompile(`(?m)^scalyr_uniform_count\{script="coin-n\d+",.*\} ([3-9]|\d\d+)$`)
	first := regexp.MustCompile(`(?m)^scalyr_uniform\{script="coin-n\d+",`)
	all := func(what *regexp.Regexp) func() error {
		return func() error {
			if n := len(what.FindAllString(b.page(t), -1)); n != monitors {
				return fmt.Errorf("there are %d of %d", n, monitors)
			}
			return nil
		}
	}
	eventually(t, "the first sample of every monitor", all(first))
	t.Logf("all %d monitors had sampled after %s", monitors, time.Since(begin).Round(time.Millisecond))
	eventually(t, "three samples of every monitor", all(sampled))

	pss, rss := memoryOf(t, "scriptbridge_host.py")
	t.Logf("the monitors take %.1f MB each (%.0f MB of all; %.1f MB each counting what they share once for each)", pss/monitors/1e6, pss/1e6, rss/monitors/1e6)
	if m := regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)$`).FindStringSubmatch(b.page(t)); m == nil {
		t.Error("the page does not tell the memory in use")
	} else if own, _ := strconv.ParseFloat(m[1], 64); own > 150e6 {
		t.Errorf("the bridge uses %.0f MB", own/1e6)
	} else {
		t.Logf("the bridge uses %.0f MB", own/1e6)
	}
	if pss/monitors > 30e6 {
		t.Errorf("a monitor takes %.1f MB; 30 MB is the limit", pss/monitors/1e6)
	}

	end := time.Now()
	b.stop()
	t.Logf("all were ended after %s", time.Since(end).Round(time.Millisecond))
	if b.err != nil {
		t.Errorf("the bridge ended with %v", b.err)
	}
	eventually(t, "nothing to be left running", func() error {
		if left := leftovers(dir); len(left) > 0 {
			return fmt.Errorf("left: %s", strings.Join(left, "; "))
		}
		return nil
	})
}

// memoryOf adds up the memory, in bytes, of all processes that have name among
// their arguments: what they share divided by how many do, and as each has it.
func memoryOf(t *testing.T, name string) (pss, rss float64) {
	t.Helper()
	procs, _ := filepath.Glob("/proc/[0-9]*")
	field := regexp.MustCompile(`(?m)^(Pss|Rss):\s+(\d+) kB$`)
	for _, p := range procs {
		if args, _ := os.ReadFile(p + "/cmdline"); !strings.Contains(string(args), name) {
			continue
		}
		text, _ := os.ReadFile(p + "/smaps_rollup")
		for _, m := range field.FindAllStringSubmatch(string(text), -1) {
			kb, _ := strconv.ParseFloat(m[2], 64)
			if m[1] == "Pss" {
				pss += kb * 1024
			} else {
				rss += kb * 1024
			}
		}
	}
	return pss, rss
}
