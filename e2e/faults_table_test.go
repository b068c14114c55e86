package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The rows of the table of docs/reliability.md, with peerRow and folderRow; those of remote write have a word in front.
const (
	faultKill     = "`kill -9`"
	faultChain    = "the lower of two chained bridges restarted, every other time by `kill -9`"
	faultOutputs  = "standard output that nobody reads"
	faultFull     = "full disk"
	faultReadOnly = "read-only disk at a start"
	faultClock    = "clock set by +6 h, back, −6 h, +400 d, back"
)

func folderRow(name string) string { return "storage: " + name }

func (to *labUpload) peerRow(name string) string {
	if to == toCoScale {
		return "API: " + name
	}
	return to.row + name
}

// faultRows are all rows, in the order of the table.
func faultRows() []string {
	rows := []string{faultKill, faultChain, faultOutputs, faultFull, faultReadOnly, faultClock}
	for _, f := range folderFaults {
		rows = append(rows, folderRow(f.name))
	}
	for _, f := range peerFaults {
		rows = append(rows, toCoScale.peerRow(f.name))
	}
	for _, name := range []string{faultKill, faultFull, faultReadOnly, faultClock} {
		rows = append(rows, toRemoteWrite.row+name)
	}
	for _, f := range folderFaults {
		if f.upload {
			rows = append(rows, toRemoteWrite.row+folderRow(f.name))
		}
	}
	for _, f := range peerFaults {
		if f.written != no {
			rows = append(rows, toRemoteWrite.peerRow(f.name))
		}
	}
	return rows
}

// toldDown is what most faults are told by.
const toldDown = "`scriptbridge_upload_up` 0, a line at level error"

const (
	faultsPage  = "../docs/reliability.md"
	faultsBegin = "<!-- make faults writes from here -->\n"
	faultsEnd   = "<!-- to here -->\n"
	faultsHead  = "| fault | how long, or how often | acknowledged | arrived | lost | twice | what was told |\n|---|---|---|---|---|---|---|\n"
)

var faultsWriting sync.Mutex

// report tells what came of a fault, in the full form as a row of the table.
func report(t *testing.T, fault, extent string, o outcome, told string) {
	t.Helper()
	cells := []string{
		fault, extent, fmt.Sprint(o.acknowledged), fmt.Sprint(o.acknowledged - o.lost), fmt.Sprint(o.lost), fmt.Sprint(o.twice), told,
	}
	row := "| " + strings.Join(cells, " | ") + " |\n"
	t.Logf("%sthe latest turn was %v late", row, o.late)
	if !slices.Contains(faultRows(), fault) {
		t.Errorf("faultRows has no %q", fault)
	}
	if !full || t.Failed() {
		return
	}
	faultsWriting.Lock()
	defer faultsWriting.Unlock()
	table := readFaultsTable(t)
	if now := thisMachine(t); table.machine != now { // figures of two machines are no table
		table.machine, table.rows = now, make(map[string]string)
	}
	table.rows[fault] = row
	if err := os.WriteFile(faultsPage, []byte(table.page()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// faultsTable is the page with the table.
type faultsTable struct {
	before, after string // on the page
	machine       string
	rows          map[string]string // by the fault
}

func (f faultsTable) page() string {
	text := f.before + faultsBegin + f.machine + "\n" + faultsHead
	for _, name := range faultRows() {
		text += f.rows[name]
	}
	return text + faultsEnd + f.after
}

func readFaultsTable(t *testing.T) faultsTable {
	t.Helper()
	text, err := os.ReadFile(faultsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), faultsBegin)
	inside, after, ends := strings.Cut(rest, faultsEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table: %q and %q", faultsPage, faultsBegin, faultsEnd)
	}
	table := faultsTable{before: before, after: after, rows: make(map[string]string)}
	var rows string
	table.machine, rows, _ = strings.Cut(inside, "\n"+faultsHead)
	for row := range strings.Lines(rows) {
		fault, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		table.rows[fault] = row
	}
	return table
}

// thisMachine is what is told of the machine that the figures are of.
func thisMachine(t *testing.T) string {
	t.Helper()
	system, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		t.Fatal(err)
	}
	release, _, _ := strings.Cut(strings.TrimSpace(string(system)), "-") // what follows is who built it
	return fmt.Sprintf("Measured on %s, %s, %d cores:\n", release, runtime.GOARCH, runtime.NumCPU())
}

// seconds is a time as the table has it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }

// TestFaultsTable: the table has a row for each fault that is tried, and no row
// says what is not promised.
func TestFaultsTable(t *testing.T) {
	table := readFaultsTable(t)
	text, err := os.ReadFile(faultsPage)
	if err != nil {
		t.Fatal(err)
	}
	if table.page() != string(text) {
		t.Errorf("the rows are not those of faultRows, in their order: make faults")
	}
	mayLose := make(map[string]bool)
	for _, f := range folderFaults {
		for _, to := range []*labUpload{toCoScale, toRemoteWrite} {
			mayLose[to.row+folderRow(f.name)] = f.reason != ""
		}
	}
	for _, name := range faultRows() {
		var acknowledged, arrived, lost, twice int
		cells := strings.Split(table.rows[name], " | ")
		if len(cells) != 7 {
			t.Errorf("no row of %q: make faults", name)
			continue
		}
		if _, err := fmt.Sscan(strings.Join(cells[2:6], " "), &acknowledged, &arrived, &lost, &twice); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if acknowledged == 0 || arrived != acknowledged-lost || lost > 0 != mayLose[name] || twice > 0 {
			t.Errorf("the row of %q: %s", name, table.rows[name])
		}
	}
}
