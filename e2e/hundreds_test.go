package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The scripts of TestTwoHundred. DIR is where a good one notes its starts.
const (
	goodScript = `#!/bin/sh
if [ "$1" = -c ]; then
  echo '{"metrics":[{"id":1,"name":"Good","datatype":"GAUGE"}]}'
else
  date +%%s.%%N >> %s/starts.%03d
  echo 'M1 1'
fi
`
	declare = `[ "$1" = -c ] && { echo '{"metrics":[{"id":1,"name":"Bad","datatype":"GAUGE"}]}'; exit; }
`
	slotInterval = 10 * time.Second
)

// troublemakers: how many of each kind, and what they do.
var troublemakers = []struct {
	kind  string
	count int
	text  func(i int) string
}{
	{"hang", 10, func(i int) string {
		if i%2 == 0 {
			return "trap '' TERM\nwhile :; do sleep 975311; done\n" // already for -c, and deaf
		}
		return declare + "sleep 975311\n"
	}},
	{"flood", 5, func(i int) string {
		if i%2 == 0 {
			return declare + "yes 'M1 1'\n"
		}
		return declare + "yes 'M1 1' >&2\n"
	}},
	{"escape", 5, func(i int) string {
		switch i % 3 {
		case 0:
			return declare + "setsid sleep 975312 &\necho 'M1 1'\n"
		case 1: // its parent is gone and its mark too
			return declare + "(setsid env -i sh -c 'sleep 975313; : '\"$0\" &)\necho 'M1 1'\n"
		default: // it holds the output open
			return declare + "setsid sh -c 'trap \"\" TERM HUP; sleep 975314' &\necho 'M1 1'\n"
		}
	}},
	{"die", 10, func(i int) string {
		if i%2 == 0 {
			return declare + "kill -SEGV $$\n"
		}
		return declare + "echo 'M1 1'\nexit 3\n"
	}},
	{"rubbish", 10, func(i int) string {
		if i%2 == 0 {
			return declare + "head -c 20000 /dev/urandom\necho\n"
		}
		return "printf '\\377\\376 M1 \\200\\n'\n"
	}},
}

// TestTwoHundred keeps 160 good scripts going beside 40 of the worst.
func TestTwoHundred(t *testing.T) {
	dir := t.TempDir()
	var config strings.Builder
	fmt.Fprintf(&config, "global: {interval: %s, timeout: 4s}\nscripts:\n", slotInterval)
	add := func(name, text string) {
		write(t, dir, name+".sh", text)
		fmt.Fprintf(&config, "  - {command: ./%s.sh, interval: %s}\n", name, slotInterval)
	}
	good := 200
	for _, kind := range troublemakers {
		for i := range kind.count {
			add(fmt.Sprintf("%s%02d", kind.kind, i), "#!/bin/sh\n"+kind.text(i))
			good--
		}
	}
	for i := range good {
		add(fmt.Sprintf("good%03d", i), fmt.Sprintf(goodScript, dir, i))
	}
	begin := time.Now()
	b := startBridge(t, dir, write(t, dir, "scriptbridge.yml", config.String()))

	isGood := regexp.MustCompile(`(?m)^coscale_good\{script="good\d+"\} 1$`)
	eventually(t, "every good script on the page", func() error {
		if n := len(isGood.FindAllString(b.page(t), -1)); n != good {
			return fmt.Errorf("there are %d of %d", n, good)
		}
		return nil
	})
	// A figure, not a verdict: the machine may be busy with other things.
	t.Logf("all %d good scripts were on the page after %s", good, time.Since(begin).Round(time.Millisecond))

	// Four starts each: the first, and three at slots.
	starts := make([][]float64, good)
	eventually(t, "four starts of every good script", func() error {
		for i := range starts {
			starts[i] = nil
			data, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("starts.%03d", i)))
			if err != nil {
				return err
			}
			for _, f := range strings.Fields(string(data)) {
				at, err := strconv.ParseFloat(f, 64)
				if err != nil {
					return err
				}
				starts[i] = append(starts[i], at)
			}
			if len(starts[i]) < 4 {
				return fmt.Errorf("good%03d has %d", i, len(starts[i]))
			}
		}
		return nil
	})
	// The slots of a script are an interval apart; the start that came
	// soonest after its slot tells where they lie at the latest.
	worst := 0.0
	for _, at := range starts {
		phase := at[1]
		for k := 1; k < len(at); k++ {
			phase = min(phase, at[k]-float64(k-1)*slotInterval.Seconds())
		}
		for k := 1; k < len(at); k++ {
			late := at[k] - float64(k-1)*slotInterval.Seconds() - phase
			worst = max(worst, late)
		}
	}
	t.Logf("the latest start came %.3f s after its slot", worst)

	page := b.page(t)
	for _, want := range []string{
		`scriptbridge_script_success\{script="hang00"\} 0`,
		`scriptbridge_script_runs_total\{script="hang01",result="timeout"\} [1-9]`,
		`scriptbridge_script_runs_total\{script="flood00",result="killed"\} [1-9]`,
		`scriptbridge_script_success\{script="escape00"\} 1`,
		`scriptbridge_script_success\{script="escape01"\} 1`,
		`scriptbridge_script_runs_total\{script="die00",result="killed"\} [1-9]`,
		`scriptbridge_script_exit_code\{script="die01"\} 3`,
		`scriptbridge_script_runs_total\{script="rubbish01",result="invalid"\} [1-9]`,
	} {
		if !regexp.MustCompile("(?m)^" + want + ".*$").MatchString(page) {
			t.Errorf("the page has no %s", want)
		}
	}
	if m := regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)$`).FindStringSubmatch(page); m == nil {
		t.Error("the page does not tell the memory in use")
	} else if rss, _ := strconv.ParseFloat(m[1], 64); rss > 300e6 {
		t.Errorf("the bridge uses %.0f MB", rss/1e6)
	} else {
		t.Logf("the bridge uses %.0f MB", rss/1e6)
	}

	b.stop()
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

// leftovers are the processes that carry the mark of the test, or name its
// folder where they cleared their environment.
func leftovers(mark string) (left []string) {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		if p == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		env, _ := os.ReadFile(p + "/environ")
		args, _ := os.ReadFile(p + "/cmdline")
		// 97531… is how long the troublemakers sleep.
		if bytes.Contains(env, []byte("E2E_MARK="+mark+"\x00")) || bytes.Contains(args, []byte(mark)) || bytes.Contains(args, []byte("sleep\x0097531")) {
			left = append(left, filepath.Base(p)+" "+string(bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
		}
	}
	return left
}
