package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/windows"

	"scriptbridge/internal/limits"
	"scriptbridge/internal/winargs"
	"scriptbridge/internal/winjob"
)

// start starts c in a job of its own. A script that is no program is given to the one that
// runs it, as winargs.System has it.
func (l *Launcher) start(c *Command, f files) (*process, error) {
	if c.Dir != "" {
		if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("cannot be started: working directory %s: %w", c.Dir, notDir(err))
		}
	}
	what, err := startOf(c)
	if err != nil {
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	p, err := l.reaper.start(c, &winjob.Program{
		Path: what.Application, CommandLine: what.Line, Dir: c.Dir, Env: append(slices.Clip(c.Env), runMark+"=1"), Files: f,
		Priority: priority(c.Limits.Nice),
	})
	if limit := (*limits.Error)(nil); errors.As(err, &limit) {
		return nil, limit
	}
	if errors.Is(err, windows.ERROR_BAD_EXE_FORMAT) {
		return nil, fmt.Errorf("cannot be started: %s is no program of this Windows: put the program that runs it in front of it in command", what.Application)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be started: %s: %w", what.Application, Bare(err))
	}
	return p, nil
}

// maxFolder is how many characters of UTF-16 the path of a working folder may have: a
// process has room for MAX_PATH, with a backslash and a NUL at its end, also where the
// machine allows longer paths elsewhere.
const maxFolder = windows.MAX_PATH - 2

// startOf gives what starts a command, from what there is on the machine now.
func startOf(c *Command) (winargs.Start, error) {
	if n := len(utf16.Encode([]rune(strings.TrimRight(c.Dir, `\/`)))); n > maxFolder {
		return winargs.Start{}, fmt.Errorf("working directory %s has %d characters, but Windows starts a program in none of more than %d: name another one by working_directory", c.Dir, n, maxFolder)
	}
	path := LastEnv(c.Env, "PATH")
	file, err := ResolveProgram(c.Args[0], path)
	if err != nil {
		return winargs.Start{}, err
	}
	if file, err = whole(file, c.Dir); err != nil {
		return winargs.Start{}, err
	}
	return system(path).Start(file, c.Args[1:], c.Env)
}

// system is what a command needs of this machine, with programs looked for in path.
func system(path string) winargs.System {
	folder, err := windows.GetSystemDirectory()
	if err != nil {
		folder = filepath.Join(os.Getenv("SystemRoot"), "System32")
	}
	return winargs.System{Folder: folder, IsFile: isFile, Find: func(name string) string { return find(name, path) }}
}

func find(name, path string) string { return winargs.Find(name, path, os.Getenv("PATHEXT"), isFile) }

func isFile(file string) bool {
	info, err := os.Stat(file)
	return err == nil && !info.IsDir()
}

// ResolveProgram finds args0, the first word of a command, in path, a list of folders as
// in PATH. A word with a folder is taken as it is, but for an extension that it may lack.
func ResolveProgram(args0, path string) (string, error) {
	if found := find(args0, path); found != "" {
		return found, nil
	}
	if winargs.HasFolder(args0) {
		return args0, nil
	}
	return "", &NotInPathError{args0, path}
}

// whole gives the whole path of a program, which may begin in the folder where it is to run.
func whole(file, dir string) (string, error) {
	if !winargs.IsAbs(file) && dir != "" {
		file = filepath.Join(dir, file)
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	if found := find(file, ""); found != "" {
		file = found
	}
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("%s: %w", file, Bare(err))
	}
	return file, nil
}

// priority is the priority class that a niceness means. What may take the processor from
// the system itself is none.
func priority(nice int) uint32 {
	switch {
	case nice >= 15:
		return windows.IDLE_PRIORITY_CLASS
	case nice > 0:
		return windows.BELOW_NORMAL_PRIORITY_CLASS
	case nice < -9:
		return windows.HIGH_PRIORITY_CLASS
	case nice < 0:
		return windows.ABOVE_NORMAL_PRIORITY_CLASS
	}
	return 0
}
