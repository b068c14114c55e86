package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"scriptbridge/internal/testkit"
)

const wine = "/usr/lib/wine/wine64"

// needWine gives the folder that is drive C:, or skips the test.
func needWine(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(wine); err != nil {
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			t.Fatalf("%s is not installed, and SCRIPTBRIDGE_E2E=required", wine)
		}
		t.Skipf("%s is not installed (Debian: apt-get install wine64 gcc-mingw-w64-x86-64-win32)", wine)
	}
	if out, err := exec.Command("make", "-C", "..", "wine-prefix").CombinedOutput(); err != nil {
		t.Fatalf("make wine-prefix: %v\n%s", err, out)
	}
	drive, err := filepath.Abs(filepath.Join("..", ".build", "wine", "drive_c"))
	if err != nil {
		t.Fatal(err)
	}
	return drive
}

// buildForWindows builds a package of this module.
func buildForWindows(t *testing.T, output, folder, of string) {
	t.Helper()
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", output, of)
	build.Dir = folder
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestWindows runs the Windows build with scripts of every kind that Windows has, and
// looks at it through a real Prometheus; then it is killed in the midst of a run.
func TestWindows(t *testing.T) {
	need(t, "prometheus")
	drive := needWine(t)
	dir, err := os.MkdirTemp(drive, "e2e") // since everybody may write to Z:\tmp
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe := filepath.Join(dir, "scriptbridge.exe")
	buildForWindows(t, exe, ".", "..")
	for _, folder := range []string{"program", "my scripts"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "program/main.go", `package main

import "os"

func main() { os.Stdout.WriteString("program_runs{kind=\"exe\"} 5\r\n") }
`)
	write(t, dir, "program/go.mod", "module program\n\ngo 1.26\n")
	buildForWindows(t, filepath.Join(dir, "program.exe"), filepath.Join(dir, "program"), ".")
	batch := func(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }
	write(t, dir, "my scripts/queue.bat", batch(`@echo off`, `if "%1"=="-c" goto config`, `echo M1 "1:incoming mail" 12`, `exit /b 0`, `:config`,
		`echo {"metrics": [{"id": 1, "name": "Queue length", "unit": "", "datatype": "GAUGE", "dimensions": [{"id": 1, "name": "queue"}]}]}`))
	write(t, dir, "hang.cmd", batch(`@echo off`, `start /b ping -n 1000 127.0.0.77 >NUL`, `ping -n 1000 127.0.0.77 >NUL`))
	write(t, dir, "load.ps1", batch(`Write-Output "load 0.5"`))
	write(t, dir, "up.py", "import sys\nprint('python_up{version=\"%d\"} 1' % sys.version_info[0])\n")
	port := testkit.FreeAddress()
	write(t, dir, "scriptbridge.yml", strings.ReplaceAll(fmt.Sprintf(`
scripts:
  - {name: queue, command: ['my scripts\queue.bat'], interval: 1s, options: {config_timeout: 10s}}
  - {name: program, command: .\program.exe, dialect: prometheus, interval: 1s}
  - {name: load, command: .\load.ps1, dialect: instrumental, interval: 1s}
  - {name: up, command: [python.exe, up.py], dialect: prometheus, interval: 1s}
  - {name: hang, command: .\hang.cmd, dialect: prometheus, timeout: 10m}
receive:
  statsd: {udp: %q}
`, port), "\n", "\r\n"))

	windowsPath := `C:\` + filepath.Base(dir)
	b := &bridge{process: start(t, dir, mustAbs(t, "../tools/wine/run"), exe, `--config.file=`+windowsPath+`\scriptbridge.yml`, "--web.listen-address=127.0.0.1:0")}
	b.awaitListening(t)
	p := startPrometheusWith(t, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: scriptbridge
    static_configs: [{targets: [%q]}]
`, b.address))
	client, err := net.Dial("udp", port)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	eventually(t, "StatsD's counter", func() error {
		fmt.Fprint(client, "hits:1|c")
		if !strings.Contains(b.page(t), "\nhits ") {
			return errors.New("it is not on the page")
		}
		return nil
	})
	p.want(t, `up{job="scriptbridge"}`, "1")
	p.want(t, `coscale_queue_length{script="queue",queue="incoming mail"}`, "12")
	p.want(t, `program_runs{script="program",kind="exe"}`, "5")
	p.want(t, `instrumental_load_load{script="load"}`, "0.5")
	p.want(t, `python_up{script="up",version="3"}`, "1")
	p.want(t, `{__name__=~"hits(_total)?"} >= bool 1`, "1")
	p.want(t, `sum(scriptbridge_script_success{script!="hang"})`, "4")
	p.want(t, `sum(scriptbridge_script_refused_total) or vector(0)`, "0")
	if page := b.page(t); strings.Contains(page, "\r") || strings.Contains(page, `\r`) {
		t.Errorf("a CR is on the page:\n%s", page)
	}

	// What a killed bridge had started ends with it.
	eventually(t, "the script that hangs, and what it has started", func() error {
		if running := runningWith("127.0.0.77"); len(running) < 2 {
			return fmt.Errorf("there are %q", running)
		}
		return nil
	})
	b.kill()
	eventually(t, "all of the bridge's scripts to be gone", func() error {
		if left := append(runningWith("127.0.0.77"), runningWith(windowsPath)...); len(left) > 0 {
			return fmt.Errorf("%q are left", left)
		}
		return nil
	})
}

// runningWith gives the command lines of all processes whose command line has a text.
func runningWith(text string) (all []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(line), text) {
			all = append(all, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return all
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
