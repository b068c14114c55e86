package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
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
		if len(args) > 0 {
			return fmt.Errorf("arguments are not known here")
		}
		for _, v := range s.env {
			fmt.Fprintln(s.out, v)
		}
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
	"grep": grep,
	"head": head,
	"wc":   wc,
	"date": func(s stdio, args []string) error {
		if !slices.Equal(args, []string{"+%s"}) {
			return fmt.Errorf("only +%%s is known here")
		}
		fmt.Fprintln(s.out, time.Now().Unix())
		return nil
	},
}

func grep(s stdio, args []string) error {
	quiet, invert := false, false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-q":
			quiet = true
		case "-v":
			invert = true
		case "-E":
		default:
			return fmt.Errorf("option %s is not known here", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return fmt.Errorf("usage: grep [-qvE] REGEXP [FILE…]")
	}
	re, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	r, err := s.inputs(args[1:])
	if err != nil {
		return err
	}
	found := false
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if re.Match(lines.Bytes()) != invert {
			found = true
			if !quiet {
				fmt.Fprintln(s.out, lines.Text())
			}
		}
	}
	if !found {
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
