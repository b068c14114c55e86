// Command sh is the shell of the scenarios under Windows, where nothing reads the first
// line of a script: a copy of it with a script behind its last byte is a program that
// runs that script. As sh.exe it is a shell; under the name of one of the few small
// programs that the scripts call it is that program.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// mark ends a program that carries a script; the script's length stands before it.
const mark = "\n#carries a script\n"

func main() {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(os.Args[0])), ".exe")
	script, err := carried()
	switch {
	case err != nil:
	case script != nil:
		err = shell(os.Args[0], script, os.Args[1:])
	case tools[name] != nil:
		err = tools[name](stdio{os.Stdin, os.Stdout, os.Stderr, os.Environ(), os.Open}, os.Args[1:])
	case len(os.Args) > 2 && os.Args[1] == "-c":
		args := os.Args[3:]
		if len(args) > 0 {
			args = args[1:] // $0
		}
		err = shell("sh", []byte(os.Args[2]), args)
	case len(os.Args) > 1:
		if script, err = os.ReadFile(os.Args[1]); err == nil {
			err = shell(os.Args[1], script, os.Args[2:])
		}
	default:
		if script, err = io.ReadAll(os.Stdin); err == nil {
			err = shell("sh", script, nil)
		}
	}
	var code interp.ExitStatus
	if errors.As(err, &code) {
		os.Exit(int(code))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// carried is the script behind the program's own last byte, nil if there is none.
func carried() ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(self)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tail := make([]byte, 8+len(mark))
	end, err := f.Seek(int64(-len(tail)), io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(f, tail); err != nil || !bytes.HasSuffix(tail, []byte(mark)) {
		return nil, err
	}
	script := make([]byte, binary.LittleEndian.Uint64(tail))
	_, err = f.ReadAt(script, end-int64(len(script)))
	return script, err
}

func shell(name string, script []byte, args []string) error {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(bytes.NewReader(script), name)
	if err != nil {
		return err
	}
	runner, err := interp.New(
		interp.StdIO(os.Stdin, os.Stdout, os.Stderr),
		interp.Params(append([]string{"--"}, args...)...),
		interp.CallHandler(compare),
		interp.ExecHandlers(own),
	)
	if err != nil {
		return err
	}
	return runner.Run(context.Background(), file)
}

// compare takes the comparison of two texts off the interpreter, which reads -c in
// [ "$1" = -c ] as a question about a file.
func compare(_ context.Context, args []string) ([]string, error) {
	if len(args) == 5 && args[0] == "[" && args[4] == "]" && (args[2] == "=" || args[2] == "!=") {
		if (args[1] == args[3]) == (args[2] == "=") {
			return []string{"true"}, nil
		}
		return []string{"false"}, nil
	}
	return args, nil
}

// own runs the small programs without a process, but for those that something waits for.
func own(next interp.ExecHandlerFunc) interp.ExecHandlerFunc {
	return func(ctx context.Context, args []string) error {
		tool := tools[args[0]]
		if tool == nil || args[0] == "sleep" || args[0] == "sh" {
			return next(ctx, args)
		}
		hc := interp.HandlerCtx(ctx)
		var env []string
		hc.Env.Each(func(name string, v expandVariable) bool {
			if v.Exported {
				env = append(env, name+"="+v.String())
			}
			return true
		})
		open := func(path string) (*os.File, error) {
			if !filepath.IsAbs(path) {
				path = filepath.Join(hc.Dir, path)
			}
			return os.Open(path)
		}
		err := tool(stdio{hc.Stdin, hc.Stdout, hc.Stderr, env, open}, args[1:])
		var code interp.ExitStatus
		if err != nil && !errors.As(err, &code) {
			fmt.Fprintf(hc.Stderr, "%s: %v\n", args[0], err)
			return interp.ExitStatus(1)
		}
		return err
	}
}
