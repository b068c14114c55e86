package winargs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/windows"
)

// TestMain lets this very program print the arguments that it is given.
func TestMain(m *testing.M) {
	if os.Getenv("WINARGS_ECHO") == "" {
		os.Exit(m.Run())
	}
	for _, a := range os.Args[1:] {
		os.Stdout.WriteString(a + "\x01")
	}
}

// TestBatchFiles has cmd.exe run batch files with arguments that end commands.
func TestBatchFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a b & c")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	system := System{Folder: filepath.Join(os.Getenv("SystemRoot"), "System32")}
	wine := windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
	evil := filepath.Join(folder, "evil")
	t.Setenv("WINARGS_ECHO", "1")
	t.Setenv("EVIL", `"&echo>evil&`)
	t.Setenv("a", `"&echo>evil&`)
	if _, err := system.Start(filepath.Join(folder, "x.bat"), []string{"%evil%"}, os.Environ()); err == nil {
		t.Error("a batch file is given the value of a variable")
	}
	for _, ext := range []string{".bat", ".cmd"} {
		file := filepath.Join(folder, "100% x"+ext)
		if err := os.WriteFile(file, []byte("@\""+self+"\" %*\r\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"-c"}, {"a b", "", `C:\my scripts\`}, {"a&echo>evil"}, {`"&echo>evil&"`}, {`\"&echo>evil`}, {"a|echo>evil"}, {"%NONE%", "x%20y%20z", "!EVIL!"},
			{"%", "80%", "%a"}, {"a%", "a%"}, {"^", "a^b", "(", ")"}, {">evil"}, {"<evil"}, {"a;b,c=d"}, {"ü", "日本"},
		} {
			start, err := system.Start(file, args, os.Environ())
			if err != nil {
				t.Fatal(err)
			}
			out := run(t, folder, start)
			got := strings.Split(strings.TrimSuffix(out, "\x01"), "\x01")
			// Wine's cmd.exe looks for variables in what it has put in the place of %*.
			if !slices.Equal(got, args) && !(wine && strings.Contains(strings.Join(args, ""), "%")) {
				t.Errorf("%s %q: it is given %q by %s", ext, args, got, start.Line)
			}
			if _, err := os.Stat(evil); err == nil {
				t.Fatalf("%s %q ran a command", ext, args)
			}
		}
	}
}

// run gives what a program prints.
func run(t *testing.T, folder string, start Start) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := os.StartProcess(start.Application, nil, &os.ProcAttr{
		Dir: folder, Files: []*os.File{nil, w, w}, Sys: &syscall.SysProcAttr{CmdLine: start.Line},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, r); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
