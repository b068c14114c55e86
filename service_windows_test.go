package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"scriptbridge/internal/winjob"
	"scriptbridge/internal/winservice"
)

// call runs the program as people do, who are told all that it prints.
func callProgram(t *testing.T, args ...string) (told string, code int) {
	t.Helper()
	cmd := exec.Command("scriptbridge", args...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

// A service is installed, started, scraped, told to reload, stopped and removed; what it ran
// ends with it.
func TestWindowsService(t *testing.T) {
	m, err := mgr.Connect()
	if err != nil {
		t.Skip("this user may not install services: ", err)
	}
	defer m.Disconnect()
	if s, err := m.OpenService(winservice.Name); err == nil {
		s.Close()
		t.Skip("a service scriptbridge is installed here already")
	}
	if told, code := callProgram(t, "service", "remove"); code != 1 || told != "scriptbridge: service: the service scriptbridge is not installed\n" {
		t.Fatalf("to remove nothing ends with %d:\n%s", code, told)
	}
	folder := filepath.Join(t.TempDir(), "with a blank")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file, storage, logFile := filepath.Join(folder, "scriptbridge.yml"), filepath.Join(folder, "above", "storage"), filepath.Join(folder, "log")
	address := freeAddress(t)
	install := []string{"service", "install", "--config.file=" + file, "--storage.path=" + storage, "--web.listen-address=" + address, "--log.file=" + logFile}

	// One whose program others may change is not installed.
	exposed := filepath.Join(t.TempDir(), "scriptbridge.exe")
	exe, err := exec.LookPath("scriptbridge")
	if err != nil {
		t.Fatal(err)
	}
	write(t, exposed, read(t, exe), 0o777)
	letEveryone(t, exposed)
	text, err := exec.Command(exposed, "service", "install").CombinedOutput()
	if want := "which the service would run, since " + exposed + " is writable by"; err == nil || !strings.Contains(string(text), want) {
		t.Errorf("with a program that everybody may write it ends with %v:\n%s", err, text)
	}

	// One that would not start is not installed.
	write(t, file, "scirpts: []\n", 0o600)
	told, code := callProgram(t, install...)
	if want := "scriptbridge: the service was not installed, since it would not start\n"; code != 1 || !strings.Contains(told, `(did you mean "scripts"?)`) || !strings.HasSuffix(told, want) {
		t.Errorf("with a bad configuration it ends with %d:\n%s", code, told)
	}

	write(t, filepath.Join(folder, "hang.bat"), "@echo hang 1\r\n@ping -n 300 127.0.0.1 >nul\r\n", 0o700)
	write(t, filepath.Join(folder, "good.bat"), "@echo good 1\r\n", 0o700)
	config := "scripts:\n  - {name: hang, command: ./hang.bat, dialect: prometheus, timeout: 50m, interval: 1h}\n  - {name: good, command: ./good.bat, dialect: prometheus}\n"
	write(t, file, config, 0o600)
	told, code = callProgram(t, install...)
	t.Cleanup(func() { callProgram(t, "service", "remove") }) // where the test ends early
	if want := `installed the service scriptbridge, which runs as NT SERVICE\scriptbridge: `; code != 0 || !strings.Contains(told, want) || !strings.Contains(told, `"--config.file=`+file+`"`) {
		t.Fatalf("it ends with %d:\n%s", code, told)
	}
	if info, err := os.Stat(storage); err != nil || !info.IsDir() {
		t.Errorf("the storage was not made: %v", err)
	}
	if told, code := callProgram(t, install...); code != 1 || !strings.Contains(told, winservice.ErrInstalled.Error()) {
		t.Errorf("to install it twice ends with %d:\n%s", code, told)
	}
	s, err := m.OpenService(winservice.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if actions, err := s.RecoveryActions(); !errors.Is(err, windows.ERROR_INVALID_LEVEL) && // Wine cannot say
		fmt.Sprint(actions) != "[{1 5s} {1 30s} {1 1m0s}]" {
		t.Errorf("after a failure it is restarted %v, %v", actions, err)
	}

	before := pings(t)
	if err := s.Start("--web.listen-address=:1"); err != nil { // who may start it says no more
		t.Fatal(err)
	}
	awaitService(t, s, svc.Running)
	page := "http://" + address + "/metrics"
	eventually(t, func() error {
		text, err := getText(page)
		if err == nil && !strings.Contains(text, "\ngood{script=\"good\"} 1\n") {
			err = fmt.Errorf("the page is\n%s", text)
		}
		return err
	})
	write(t, file, config+"  - {name: new, command: ./good.bat, dialect: prometheus}\n", 0o600)
	if _, err := s.Control(svc.ParamChange); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		text, err := getText(page)
		if err == nil && !strings.Contains(text, "\ngood{script=\"new\"} 1\n") {
			err = fmt.Errorf("the page is\n%s", text)
		}
		return err
	})
	if pings(t) != before+1 {
		t.Errorf("%d of the scripts' processes run", pings(t)-before)
	}
	if _, err := s.Control(svc.Stop); err != nil {
		t.Fatal(err)
	}
	if status := awaitService(t, s, svc.Stopped); status.Win32ExitCode != 0 || status.ServiceSpecificExitCode != 0 {
		t.Errorf("it has ended with %+v", status)
	}
	if pings(t) != before {
		t.Errorf("%d of the scripts' processes are left", pings(t)-before)
	}
	if log := read(t, logFile); !strings.Contains(log, `msg="stopped; nothing is left running"`) {
		t.Errorf("the log says\n%s", log)
	}

	// One that cannot start fails, and says why where it was told to log.
	write(t, file, "scirpts: []\n", 0o600)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		status, err := s.Query()
		if err == nil && (status.State != svc.Stopped || status.Win32ExitCode != uint32(windows.ERROR_SERVICE_SPECIFIC_ERROR) || status.ServiceSpecificExitCode != 1) {
			err = fmt.Errorf("it is %+v", status)
		}
		return err
	})
	if log := read(t, logFile); !strings.Contains(log, `msg="the bridge cannot go on" err=`) || !strings.Contains(log, "unknown key") {
		t.Errorf("the log says\n%s", log)
	}
	s.Close()
	told, code = callProgram(t, "service", "remove")
	if want := "removed the service scriptbridge; its configuration " + file + " and its storage " + storage + " stay as they are\n"; code != 0 || told != want {
		t.Errorf("to remove it ends with %d:\n%s", code, told)
	}
	if _, err := os.Stat(storage); err != nil {
		t.Error(err)
	}
	if key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Services\EventLog\Application\scriptbridge`, registry.QUERY_VALUE); err == nil {
		key.Close()
		t.Error("its source in the event log is still there")
	}
}

// In a console the bridge ends in order on Ctrl-Break, which under Wine is Ctrl-C, with what
// it runs.
func TestWindowsBreak(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "hang.bat"), "@echo hang 1\r\n@ping -n 300 127.0.0.1 >nul\r\n", 0o700)
	write(t, filepath.Join(folder, "scriptbridge.yml"), "scripts: [{name: hang, command: ./hang.bat, dialect: prometheus, timeout: 50m, interval: 1h}]\n", 0o600)
	logFile := filepath.Join(folder, "log")
	before := pings(t)
	exe, err := exec.LookPath("scriptbridge")
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	job, err := winjob.New(winjob.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	bridge, err := job.Start(&winjob.Program{
		Path: exe, Env: os.Environ(), Files: [4]*os.File{null, null, null},
		CommandLine: windows.ComposeCommandLine([]string{exe, "--config.file=" + filepath.Join(folder, "scriptbridge.yml"), "--web.listen-address=127.0.0.1:0", "--log.file=" + logFile}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bridge.Close()
	eventually(t, func() error {
		if n := pings(t); n != before+1 {
			return fmt.Errorf("%d scripts run", n-before)
		}
		return nil
	})
	if err := bridge.Ask(patience); err != nil {
		t.Fatal(err)
	}
	if exit, err := bridge.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("it ends with %+v, %v", exit, err)
	}
	if n := pings(t); n != before {
		t.Errorf("%d of the scripts' processes are left", n-before)
	}
	if log := read(t, logFile); !strings.Contains(log, `msg=stopping reason=signal`) || !strings.Contains(log, `msg="stopped; nothing is left running"`) {
		t.Errorf("the log says\n%s", log)
	}
}

// pings counts the processes of ping.exe.
func pings(t *testing.T) (n int) {
	t.Helper()
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(snapshot)
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		if strings.EqualFold(windows.UTF16ToString(entry.ExeFile[:]), "ping.exe") {
			n++
		}
	}
	return n
}

// letEveryone lets everybody write a file.
func letEveryone(t *testing.T, file string) {
	t.Helper()
	sd, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		t.Fatal(err)
	}
	if err := windows.SetNamedSecurityInfo(file, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func getText(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// awaitService waits for a state of the service.
func awaitService(t *testing.T, s *mgr.Service, state svc.State) (status svc.Status) {
	t.Helper()
	eventually(t, func() (err error) {
		if status, err = s.Query(); err == nil && status.State != state {
			err = fmt.Errorf("it is in state %d", status.State)
		}
		return err
	})
	return status
}
