package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
)

type expandVariable = expand.Variable

// stdio is what a small program is given.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	env      []string
	open     func(path string) (*os.File, error)
}

// inputs reads the files, or standard input if there are none, one after the other.
func (s stdio) inputs(files []string) (io.Reader, error) {
	if len(files) == 0 {
		if s.in == nil {
			return strings.NewReader(""), nil
		}
		return s.in, nil
	}
	var all []io.Reader
	for _, name := range files {
		f, err := s.open(name)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return io.MultiReader(all...), nil
}

// tools are the programs that scenarios call, as far as they call them: what is not
// known is an error.
var tools = map[string]func(stdio, []string) error{
	"cat": func(s stdio, args []string) error {
		r, err := s.inputs(args)
		if err != nil {
			return err
		}
		_, err = io.Copy(s.out, r)
		return err
	},
	"sleep": func(s stdio, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("usage: sleep SECONDS")
		}
		seconds, err := strconv.ParseFloat(args[0], 64)
		if err == nil {
			time.Sleep(time.Duration(seconds * float64(time.Second)))
		}
		return err
	},
	"yes": func(s stdio, args []string) error {
		line := "y"
		if len(args) > 0 {
			line = strings.Join(args, " ")
		}
		page := []byte(strings.Repeat(line+"\n", 1+8192/(len(line)+1)))
		for {
			if _, err := s.out.Write(page); err != nil {
				return err
			}
		}
	},
	"env": func(s stdio, args []string) error {
		for len(args) > 0 && strings.Contains(args[0], "=") {
			s.env = append(s.env, args[0])
			args = args[1:]
		}
		if len(args) > 0 {
			return call(s, args)
		}
		for _, v := range s.env {
			fmt.Fprintln(s.out, v)
		}
		return nil
	},
	"echo": func(s stdio, args []string) error {
		fmt.Fprintln(s.out, strings.Join(args, " "))
		return nil
	},
	"touch": func(s stdio, args []string) error {
		for _, name := range args {
			f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o666)
			if err != nil {
				return err
			}
			f.Close()
		}
		return nil
	},
	"true":  func(stdio, []string) error { return nil },
	"false": func(stdio, []string) error { return interp.ExitStatus(1) },
	// Modes mean nothing here; but what is given one must be there.
	"chmod": func(s stdio, args []string) error {
		if len(args) > 0 && args[0] == "-R" {
			args = args[1:]
		}
		for _, name := range args[min(1, len(args)):] {
			_, err := os.Stat(name)
			if _, program := os.Stat(name + ".exe"); err != nil && program != nil {
				return err
			}
		}
		return nil
	},
	"cp": func(s stdio, args []string) error {
		if len(args) != 2 {
			return fmt.Errorf("usage: cp FROM TO")
		}
		data, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], data, 0o700)
	},
	"mv": func(s stdio, args []string) error {
		if len(args) != 2 {
			return fmt.Errorf("usage: mv FROM TO")
		}
		return os.Rename(args[0], args[1])
	},
	"basename": func(s stdio, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("usage: basename PATH [END]")
		}
		name := filepath.Base(args[0])
		if len(args) > 1 {
			name = strings.TrimSuffix(name, args[1])
		}
		fmt.Fprintln(s.out, name)
		return nil
	},
	"nice":    func(s stdio, args []string) error { return call(s, args) },
	"timeout": func(s stdio, args []string) error { return call(s, args[min(1, len(args)):]) },
	"sed":     sed,
	"tr":      tr,
	"grep":    grep,
	"head":    head,
	"wc":      wc,
	"date": func(s stdio, args []string) error {
		if !slices.Equal(args, []string{"+%s"}) {
			return fmt.Errorf("only +%%s is known here")
		}
		fmt.Fprintln(s.out, time.Now().Unix())
		return nil
	},
}

// call runs the program that its caller's arguments name.
func call(s stdio, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: nice|timeout SECONDS PROGRAM [ARGUMENT…]")
	}
	c := exec.Command(args[0], args[1:]...)
	c.Stdin, c.Stdout, c.Stderr, c.Env = s.in, s.out, s.err, s.env
	err := c.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return interp.ExitStatus(failed.ExitCode())
	}
	return err
}

// sed knows s/REGEXP/TEXT/[g][p], several of them with a semicolon between, -n, -E and -i.
func sed(s stdio, args []string) error {
	inPlace, silent := false, false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-E":
		case "-n":
			silent = true
		case "-i":
			inPlace = true
		default:
			return fmt.Errorf("option %s is not known here", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return fmt.Errorf("usage: sed [-E] [-n] [-i] SCRIPT [FILE…]")
	}
	changes, err := substitutions(args[0])
	if err != nil {
		return err
	}
	r, err := s.inputs(args[1:])
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var out strings.Builder
	for line := range strings.Lines(string(raw)) {
		body := strings.TrimSuffix(line, "\n")
		end := line[len(body):]
		for _, c := range changes {
			var changed bool
			if body, changed = c.apply(body); changed && c.print {
				out.WriteString(body + "\n")
			}
		}
		if !silent {
			out.WriteString(body + end)
		}
	}
	if inPlace {
		return os.WriteFile(args[1], []byte(out.String()), 0o600)
	}
	_, err = io.WriteString(s.out, out.String())
	return err
}

type substitution struct {
	re         *regexp.Regexp
	with       string
	all, print bool
}

var group = regexp.MustCompile(`\\([1-9])`)

// substitutions reads sed's script.
func substitutions(script string) (all []substitution, err error) {
	rest := strings.TrimSpace(script)
	for rest != "" {
		if len(rest) < 2 || rest[0] != 's' {
			return nil, fmt.Errorf("%q is not known here", rest)
		}
		parts := strings.SplitN(rest[2:], rest[1:2], 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("%q is not known here", rest)
		}
		// Of Windows, a path is no pattern.
		pattern := parts[0]
		if len(pattern) > 2 && pattern[1:3] == `:\` {
			pattern = regexp.QuoteMeta(pattern)
		}
		pattern = strings.NewReplacer(`\(`, "(", `\)`, ")").Replace(pattern)
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, err
		}
		flags := parts[2][:len(parts[2])-len(strings.TrimLeft(parts[2], "gp"))]
		all = append(all, substitution{re, group.ReplaceAllString(strings.ReplaceAll(parts[1], "$", "$$"), "$${$1}"),
			strings.Contains(flags, "g"), strings.Contains(flags, "p")})
		rest = strings.TrimLeft(parts[2][len(flags):], "; \n")
	}
	return all, nil
}

func (c substitution) apply(line string) (string, bool) {
	n := 1
	if c.all {
		n = -1
	}
	var out []byte
	at := 0
	for _, m := range c.re.FindAllStringSubmatchIndex(line, n) {
		out = append(out, line[at:m[0]]...)
		out = c.re.ExpandString(out, c.with, line, m)
		at = m[1]
	}
	return string(out) + line[at:], c.re.MatchString(line)
}

// tr knows single characters, and -d.
func tr(s stdio, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: tr [-d] CHARACTERS [CHARACTERS]")
	}
	chars := func(text string) []rune {
		text = strings.NewReplacer(`\n`, "\n", `\0`, "\x00", `\r`, "\r", `\t`, "\t", `\000`, "\x00").Replace(text)
		return []rune(text)
	}
	r, err := s.inputs(nil)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var from, to []rune
	if args[0] == "-d" {
		from = chars(args[1])
	} else if from, to = chars(args[0]), chars(args[1]); len(from) > 1 && len(to) != len(from) {
		return fmt.Errorf("%q to %q is not known here", args[0], args[1])
	}
	_, err = io.WriteString(s.out, strings.Map(func(c rune) rune {
		i := slices.Index(from, c)
		switch {
		case i < 0:
			return c
		case to == nil:
			return -1
		}
		return to[i]
	}, string(raw)))
	return err
}

func grep(s stdio, args []string) error {
	quiet, invert, counted := false, false, false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-q":
			quiet = true
		case "-v":
			invert = true
		case "-c":
			counted = true
		case "-E":
		default:
			return fmt.Errorf("option %s is not known here", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return fmt.Errorf("usage: grep [-cqvE] REGEXP [FILE…]")
	}
	re, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	r, err := s.inputs(args[1:])
	if err != nil {
		return err
	}
	found := 0
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if re.Match(lines.Bytes()) != invert {
			found++
			if !quiet && !counted {
				fmt.Fprintln(s.out, lines.Text())
			}
		}
	}
	if counted {
		fmt.Fprintln(s.out, found)
	}
	if found == 0 {
		return interp.ExitStatus(1)
	}
	return nil
}

func head(s stdio, args []string) error {
	if len(args) < 2 || args[0] != "-n" && args[0] != "-c" {
		return fmt.Errorf("usage: head -n|-c NUMBER [FILE…]")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	r, err := s.inputs(args[2:])
	if err != nil {
		return err
	}
	if args[0] == "-c" {
		_, err := io.Copy(s.out, io.LimitReader(r, n))
		return err
	}
	for lines := bufio.NewScanner(r); n > 0 && lines.Scan(); n-- {
		fmt.Fprintln(s.out, lines.Text())
	}
	return nil
}

func wc(s stdio, args []string) error {
	if len(args) == 0 || args[0] != "-l" && args[0] != "-c" {
		return fmt.Errorf("usage: wc -l|-c [FILE…]")
	}
	r, err := s.inputs(args[1:])
	if err != nil {
		return err
	}
	all, err := io.ReadAll(r)
	if args[0] == "-c" {
		fmt.Fprintln(s.out, len(all))
	} else {
		fmt.Fprintln(s.out, strings.Count(string(all), "\n"))
	}
	return err
}
