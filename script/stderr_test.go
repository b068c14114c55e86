package script

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect/all"
)

// A run keeps the last line of its own standard error that has anything on it,
// however much it printed before, and none of an earlier run.
func TestLastLineOfStderr(t *testing.T) {
	fill := " "
	name, text := "check_x", `#!/bin/sh
if [ -e "$0.second" ]; then exit 0; fi
: >"$0.second"
for i in 0 1 2 3 4 5 6 7 8 9; do for j in 0 1 2 3 4 5 6 7 8 9; do
echo "line $i$j ########################################################################################" >&2
done; done
printf 'the cause: %600d\n\n  \n' 7 >&2
exit 9
`
	if runtime.GOOS == "windows" {
		fill = "x" // Wine's echo makes one of many blanks
		name, text = "check_x.cmd", `@echo off
if exist "%~f0.second" exit /b 0
echo x>"%~f0.second"
for /l %%i in (1,1,100) do echo line %%i ########################################################################################>&2
echo the cause: `+strings.Repeat(fill, 600)+`7>&2
echo.>&2
echo.  >&2
exit /b 9
`
	}
	script := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.FromCommand(all.Dialects.Config(), "nagios", []string{script}, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	scripts, _, err := Resolve(all.Dialects, cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPool(record.Tee{}, log.NewNopLogger(), 1)
	defer p.Close()
	want := "the cause: " + strings.Repeat(fill, stderrKept-len("the cause: ")) + "…"
	for range 2 {
		if v := p.Once(t.Context(), scripts)[0]; v.Last.Stderr != want {
			t.Errorf("%q, want %q", v.Last.Stderr, want)
		}
		want = ""
	}
}
