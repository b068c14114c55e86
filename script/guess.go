package script

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Guess says which dialect of a table a command seems to speak, and why, for a
// person who did not say it. A folder can only be read. What the file's folder, text and name tell is
// believed first, and nothing is run. Where they tell nothing, the command is run
// as it is, and where that tells nothing either, with the argument that a dialect
// knows: so that no script gets an argument which it may take for something else,
// unless all else has failed. The error names what was seen but is of no dialect.
// It returns soon after ctx has ended.
func (p *Pool) Guess(ctx context.Context, table dialect.Table, c *config.Script) (name, why string, err error) {
	s := &Script{Script: dialect.Script{Script: c}}
	s.File, s.Dir = placeOf(c)
	if path := cmp.Or(s.File, c.Command[0]); len(c.Command) == 1 && isFolder(path) {
		for _, d := range table {
			if dialect.ReadsFolders(d) {
				return d.Name(), "it is a folder", nil
			}
		}
	}
	g := guess(table, s.File, process.Head(s.File), func(args ...string) *process.Outcome {
		cmd, err := s.resolveCommand()
		if err != nil {
			return &process.Outcome{Result: record.Error, ExitCode: -1, Err: err}
		}
		cmd.Args = append(cmd.Args, args...)
		cmd.Timeout = guessTimeout
		return p.launcher.Run(ctx, cmd)
	})
	if g.name == bareNumber {
		return "", "", fmt.Errorf("the command %s, which no dialect reads: print a name in front of it, as `queue_length 12` is read by the dialects prometheus and instrumental; --dialect names the one to try", g.Why)
	}
	if _, err := table.Find(g.name); err != nil {
		return "", "", fmt.Errorf("the command seems to speak %s, since %s, but %w; --dialect names the one to try", g.name, g.Why, err)
	}
	return g.name, g.Why, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

const guessTimeout = 10 * time.Second // of each run

// guessed is a dialect by name, and what speaks for it. The zero value is no
// guess. What is seen and is no dialect has a name too, which is in no table.
type guessed struct {
	name string
	dialect.Clue
}

// guess weighs a script's path (empty when not known), its text (nil when it
// has none), and what run gives, which it calls only when it must.
func guess(table dialect.Table, path string, text []byte, run func(args ...string) *process.Outcome) guessed {
	var printed *process.Outcome
	for _, look := range []func() guessed{
		func() guessed { return guessFolder(table, path) },
		func() guessed { return strongest(guessText(table, text)) },
		func() guessed { return guessName(table, path) },
		func() guessed { printed = run(); return guessOutput(table, printed) },
		func() guessed { return guessAnswer(table, run) },
		func() guessed { return guessNumber(printed) },
	} {
		if g := look(); g.name != "" {
			return g
		}
	}
	return guessed{table[0].Name(), dialect.Clue{Strength: dialect.Weak, Why: "there is no clue (--dialect names another)"}}
}

// clues asks every dialect of a table, and gives those that look finds a clue
// for, the strongest first.
func clues(table dialect.Table, look func(dialect.Recognition) dialect.Clue) (all []guessed) {
	for _, d := range table {
		r, ok := d.(dialect.Recognizer)
		if !ok {
			continue
		}
		if clue := look(r.Recognition()); clue.Strength > 0 {
			all = append(all, guessed{d.Name(), clue})
		}
	}
	slices.SortStableFunc(all, func(a, b guessed) int { return cmp.Compare(b.Strength, a.Strength) })
	return all
}

func strongest(all []guessed) guessed {
	if len(all) == 0 {
		return guessed{}
	}
	return all[0]
}

// guessFolder looks at where a script lies.
func guessFolder(table dialect.Table, path string) guessed {
	dir := filepath.ToSlash(filepath.Dir(path))
	return strongest(clues(table, func(r dialect.Recognition) dialect.Clue {
		for _, folder := range r.Folders {
			if strings.HasSuffix(dir, "/"+folder) {
				return dialect.Clue{Strength: dialect.Strong, Why: "it lies in a folder " + folder}
			}
		}
		return dialect.Clue{}
	}))
}

// guessName looks at what a script is called.
func guessName(table dialect.Table, path string) guessed {
	return strongest(clues(table, func(r dialect.Recognition) dialect.Clue {
		if r.FilePrefix != "" && strings.HasPrefix(filepath.Base(path), r.FilePrefix) {
			return dialect.Clue{Strength: dialect.Fair, Why: "its name begins with " + r.FilePrefix}
		}
		return dialect.Clue{}
	}))
}

// guessText gives all that a script's own text speaks for.
func guessText(table dialect.Table, text []byte) []guessed {
	return clues(table, func(r dialect.Recognition) dialect.Clue {
		if r.Text == nil {
			return dialect.Clue{}
		}
		return r.Text(text)
	})
}

// guessOutput looks at what a script did that was run as it is.
func guessOutput(table dialect.Table, o *process.Outcome) guessed {
	g := strongest(clues(table, func(r dialect.Recognition) dialect.Clue {
		if r.Output == nil {
			return dialect.Clue{}
		}
		return r.Output(o)
	}))
	lines := lines.NotEmpty(o.Stdout)
	if g.Strength < dialect.Certain && len(lines) > 0 && localForm.MatchString(lines[0]) {
		return guessed{"check_mk", dialect.Clue{Strength: dialect.Strong, Why: "it prints lines as a local check of check_mk"}}
	}
	return g
}

// guessAnswer runs a script with each argument that a dialect knows.
func guessAnswer(table dialect.Table, run func(args ...string) *process.Outcome) guessed {
	return strongest(clues(table, func(r dialect.Recognition) dialect.Clue {
		if r.Argument == "" {
			return dialect.Clue{}
		}
		return r.Answer(run(r.Argument))
	}))
}

// What is told from all dialects although none reads it.
var (
	localForm  = regexp.MustCompile(`^[0-3P] ("[^"]+"|\S+) (-|[^\s=|]+=[-+]?[0-9.]+\S*) \S`)
	numberForm = regexp.MustCompile(`^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?%?$`)
)

// bareNumber is what no dialect reads.
const bareNumber = "a bare number"

// guessNumber looks at what a script printed that nothing else tells of: a
// number, as for Zabbix or adhocteam's script_exporter.
func guessNumber(o *process.Outcome) guessed {
	if lines := strings.Fields(string(o.Stdout)); len(lines) == 1 && numberForm.MatchString(lines[0]) {
		return guessed{bareNumber, dialect.Clue{Strength: dialect.Weak, Why: "prints a number and nothing else"}}
	}
	return guessed{}
}
