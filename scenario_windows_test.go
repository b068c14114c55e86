package main

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/windows"
)

// Nothing reads a script's first line here. So the scripts for sh of a scenario become
// programs: load.sh is load.exe wherever the scenario says it, which is a shell of its
// own (tools/wine/sh) with the script behind its last byte.

const (
	shellProgram = "scenario-sh.exe"
	shellMark    = "\n#carries a script\n"
)

var (
	namesScript = regexp.MustCompile(`([\w-])\.sh\b`)
	unixProgram = regexp.MustCompile(`(^|[\s"'\[:])/(?:usr/)?bin/(true|false|cat|sh|sleep|env|date|echo)\b`)
	forShell    = regexp.MustCompile(`^#! ?/bin/sh\b`)
)

// needShell skips a test whose scripts nothing can run.
func needShell(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(shellProgram); err != nil {
		text := shellProgram + " is missing: go -C tools/wine/sh build -o " + shellProgram + ", into a folder of PATH"
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
}

// What the commands of a scenario are given in quotes, and are patterns.
var (
	ofPatterns = regexp.MustCompile(`(?m)^(?:\[\S+\] )*(?:! )?(?:stdout|stderr|grep|await|awaitlog|count) .*$`)
	inQuotes   = regexp.MustCompile(`'[^/'][^']*'`)
	slashes    = regexp.MustCompile(`\[[^\]]*\]|https?://|</|/+`)
)

// systemTexts are what Linux says of an error, and in its place Windows and Wine.
var systemTexts = []struct{ unix, any string }{
	{"no such file or directory", `(?:no such file or directory|The system cannot find the (?:file|path) specified\.|(?:File|Path) not found\.|file does not exist)`},
	{"connect: connection refused", `connectex: (?:Connection refused\.|No connection could be made because the target machine actively refused it\.)`},
	{"connection refused", `(?:Connection refused\.|No connection could be made because the target machine actively refused it\.)`},
	{"address already in use", `(?:address already in use|winapi error #10048|Address already in use\.|Only one usage of each socket address \(protocol/network address/port\) is normally permitted\.)`},
}

// forSystem gives a scenario the form that it has on this system. What was written for
// Unix is let be one of both: a slash in a pattern is a backslash, too.
func forSystem(a *txtar.Archive) {
	here := func(text []byte) []byte {
		text = namesScript.ReplaceAll(text, []byte("$1.exe"))
		return unixProgram.ReplaceAll(text, []byte("${1}C:/Tools/$2.exe"))
	}
	a.Comment = ofPatterns.ReplaceAllFunc(here(a.Comment), func(line []byte) []byte {
		return inQuotes.ReplaceAllFunc(line, func(pattern []byte) []byte {
			text := slashes.ReplaceAllStringFunc(string(pattern), func(m string) string {
				if m[0] != '/' {
					return m
				}
				return `[/\\]+`
			})
			for _, t := range systemTexts {
				text = strings.ReplaceAll(text, t.unix, t.any)
			}
			return []byte(text)
		})
	})
	for i, f := range a.Files {
		a.Files[i].Name = string(here([]byte(f.Name)))
		a.Files[i].Data = here(f.Data)
	}
}

// prepare makes programs of the scripts in a scenario's folder, and gives it what
// every program for Windows needs of its environment.
func prepare(env *testscript.Env) error {
	for _, name := range systemNames {
		if name != "USERPROFILE" && name != "TMP" {
			env.Setenv(name, os.Getenv(name))
		}
	}
	env.Setenv("TEMP", env.Getenv("TMP"))
	return filepath.WalkDir(env.WorkDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		script, err := os.ReadFile(path)
		if err != nil || !forShell.Match(script) {
			return err
		}
		return makeProgram(strings.TrimSuffix(path, ".exe")+".exe", script)
	})
}

// makeProgram writes a program that runs a script.
func makeProgram(path string, script []byte) error {
	shell, err := exec.LookPath(shellProgram)
	if err != nil {
		return err
	}
	program, err := os.ReadFile(shell)
	if err != nil {
		return err
	}
	program = append(program, script...)
	program = binary.LittleEndian.AppendUint64(program, uint64(len(script)))
	return os.WriteFile(path, append(program, shellMark...), 0o700)
}

// systemNames are the variables that programs for Windows need.
var systemNames = []string{"SystemRoot", "ComSpec", "PATHEXT", "ProgramData", "USERPROFILE", "TMP", "TEMP"}

// serveFlags are what a bridge needs to be told to reload and to end.
func serveFlags(args []string) []string {
	if slices.Contains(args, "--web.enable-lifecycle") || slices.Contains(args, "--web.listen-address=none") {
		return nil
	}
	return []string{"--web.enable-lifecycle"}
}

// hangUp asks for a reload: there is no SIGHUP.
func hangUp(ts *testscript.TestScript) { fetch(ts, http.MethodPost, "/-/reload", "") }

// end asks a bridge to end: it has no console on which it could be told.
func end(ts *testscript.TestScript, b *serving) error {
	select {
	case <-b.done:
		return nil
	default:
	}
	if b.url == "" {
		return b.cmd.Process.Kill()
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, b.scheme+"://"))
	if err != nil {
		return nil // it ends already
	}
	conn.Close()
	if status, body := fetch(ts, http.MethodPost, "/-/quit", ""); status != http.StatusOK {
		return fmt.Errorf("POST /-/quit answered %d: %s", status, body)
	}
	return nil
}

// leftovers tells of processes that carry the mark in their environment or on their
// command line.
func leftovers(mark string, except int) (left []string) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return []string{"the list of processes: " + err.Error()}
	}
	defer windows.CloseHandle(snapshot)
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		pid := int(entry.ProcessID)
		if pid == except || pid == os.Getpid() {
			continue
		}
		command, env := startedWith(entry.ProcessID)
		if strings.Contains(env, "SCENARIO="+mark+"\x00") || strings.Contains(command, mark) {
			left = append(left, fmt.Sprintf("%d %s", pid, command))
		}
	}
	return left
}

// startedWith reads command line and environment in another process's memory; nothing
// of one that has ended, or that is the system's.
func startedWith(pid uint32) (command, env string) {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_INFORMATION|windows.PROCESS_VM_READ, false, pid)
	if err != nil {
		return "", ""
	}
	defer windows.CloseHandle(process)
	read := func(at unsafe.Pointer, into []byte) bool {
		return at != nil && len(into) > 0 && windows.ReadProcessMemory(process, uintptr(at), &into[0], uintptr(len(into)), nil) == nil
	}
	text := func(at unsafe.Pointer, size int) string {
		raw := make([]byte, size)
		if !read(at, raw) {
			return ""
		}
		var units []uint16
		for pair := range slices.Chunk(raw[:len(raw)&^1], 2) {
			units = append(units, binary.LittleEndian.Uint16(pair))
		}
		return string(utf16.Decode(units))
	}
	var info windows.PROCESS_BASIC_INFORMATION
	var peb windows.PEB
	var params windows.RTL_USER_PROCESS_PARAMETERS
	if windows.NtQueryInformationProcess(process, windows.ProcessBasicInformation, unsafe.Pointer(&info), uint32(unsafe.Sizeof(info)), nil) != nil ||
		!read(unsafe.Pointer(info.PebBaseAddress), unsafe.Slice((*byte)(unsafe.Pointer(&peb)), unsafe.Sizeof(peb))) || !read(unsafe.Pointer(peb.ProcessParameters), unsafe.Slice((*byte)(unsafe.Pointer(&params)), unsafe.Sizeof(params))) {
		return "", ""
	}
	command = text(unsafe.Pointer(params.CommandLine.Buffer), int(params.CommandLine.Length))
	return command, text(params.Environment, int(min(params.EnvironmentSize, 1<<20)))
}
