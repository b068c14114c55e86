package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// strictParser reads an OpenMetrics page with Python's client, which refuses a
// whole page for one sample that is not as the standard wants it, and prints
// each family's type and name.
const strictParser = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.type, family.name, len(family.samples))
`

// needStrictParser finds Debian's Python, for which its package is.
func needStrictParser(t *testing.T) string {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import prometheus_client.openmetrics.parser").Run(); err != nil {
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			t.Fatalf("there is no OpenMetrics parser in Python (%v), and SCRIPTBRIDGE_E2E=required", err)
		}
		t.Skipf("there is no OpenMetrics parser in Python: %v (Debian: apt-get install python3-prometheus-client)", err)
	}
	return python
}

// TestStrictReader: the OpenMetrics page can be read by the strictest reader
// there is, whatever scripts print.
func TestStrictReader(t *testing.T) {
	python := needStrictParser(t)
	dir := t.TempDir()
	write(t, dir, "odd.prom", `# TYPE falls_total counter
falls_total -1
# TYPE lost_total counter
lost_total NaN
# TYPE took_seconds histogram
took_seconds_bucket{le="1"} 3
took_seconds_bucket{le="2"} 2
took_seconds_count 5
# TYPE bare histogram
bare 1
bare_bucket{le="+Inf"} 1
# TYPE half histogram
half_bucket{le="+Inf"} 0.5
half_sum 1
half_count 0.5
# TYPE endless histogram
endless_bucket{le="inf"} 1
# TYPE far summary
far{quantile="2"} 1
far_sum -1
far_count 1
# TYPE late_total counter
late_total 1 1700000000000
# TYPE late_created gauge
late_created 1
# TYPE good_seconds histogram
good_seconds_bucket{le="1"} 1
good_seconds_bucket{le="+Inf"} 2
good_seconds_sum 3
good_seconds_count 2
untyped NaN
`)
	write(t, dir, "open.prom", `# TYPE it info
# UNIT it_volts volts
# TYPE it_volts info
it_volts_info{a="b"} 1
it_info 2
# TYPE state stateset
state{state="a"} 1
# TYPE hits counter
hits_total 4
falls_total 5
# EOF
`)
	config := write(t, dir, "scriptbridge.yml", `
scripts:
  - {name: odd, command: cat odd.prom, dialect: prometheus, interval: 1s, honor_timestamps: true}
  - {name: open, command: cat open.prom, dialect: prometheus, interval: 1s}
`)
	b := startBridge(t, dir, config)
	eventually(t, "both scripts on the page", func() error {
		if page := b.page(t); !strings.Contains(page, `hits_total{script="open"} 4`) || !strings.Contains(page, `untyped{script="odd"} NaN`) {
			return errors.New("not yet")
		}
		return nil
	})
	read := exec.Command(python, "-c", strictParser)
	read.Stdin = bytes.NewReader(b.openMetrics(t))
	out, err := read.CombinedOutput()
	if err != nil {
		t.Fatalf("the page cannot be read: %v\n%s", err, out)
	}
	for _, family := range []string{
		"unknown falls_total 2", "unknown lost_total 1", "unknown took_seconds_bucket 2", "unknown took_seconds_count 1", "unknown bare 1", "unknown bare_bucket 1",
		"unknown far 1", "unknown far_sum 1", "unknown endless_bucket 1", "unknown late_total 1", "unknown late_created 1", "histogram good_seconds 4", "counter hits 1", "unknown it_info 1",
	} {
		if !strings.Contains("\n"+string(out), "\n"+family+"\n") {
			t.Errorf("there is no family %s in\n%s", family, out)
		}
	}
}
