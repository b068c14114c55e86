package cli

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
	"scriptbridge/script"
	dialects "scriptbridge/script/dialect/all"
	"scriptbridge/upload/all"
)

// Hints gives a shell names that are configured, to complete words with. Its functions
// are called when the command line has been read as far as there is one.
type Hints struct {
	ConfigFile func() string
	Trusted    func() *trust.Policy
}

// completeWithin is how long somebody waits who has pressed a key.
const completeWithin = 2 * time.Second

// plainWord is a name that no shell takes for more than a word: bash expands what it is
// given to complete with, commands in it too.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.+@%,/][A-Za-z0-9_.+@%,/-]*$`)

// configured gives names of a configuration, of which it only reads what it must; none
// where that cannot be read. Nothing is run, and nothing is told.
func (h Hints) configured(names func(*config.Config) []string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
	defer cancel()
	all, _ := fsx.Do(ctx, func() ([]string, error) {
		return config.Guarded("", func() ([]string, error) {
			cfg, _ := config.Load(dialects.Dialects.Config(), h.ConfigFile(), h.Trusted()) // what could be read of one with errors
			return names(cfg), nil
		})
	})
	return slices.DeleteFunc(all, func(name string) bool { return !plainWord.MatchString(name) })
}

func (h Hints) scripts() []string {
	return h.configured(func(cfg *config.Config) (names []string) {
		for _, s := range cfg.Scripts {
			names = append(names, s.Name)
		}
		scripts, _, _ := script.Resolve(dialects.Dialects, cfg) // those that are discovered too
		for _, s := range scripts {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
		return names
	})
}

func (h Hints) uploads() []string {
	return h.configured(func(cfg *config.Config) []string { return all.Types.Names(&cfg.Upload) })
}

// destinations are those of uploads that push and wrap can write to.
func (h Hints) destinations() []string {
	return h.configured(func(cfg *config.Config) (names []string) {
		for _, c := range all.Types.Configured(&cfg.Upload) {
			if isDestination(c) {
				names = append(names, c.Name)
			}
		}
		return names
	})
}

// all are the names of what has a page, but for receivers.
func (h Hints) all() []string { return slices.Concat(h.scripts(), h.uploads()) }

// dialectNames are the names of the dialects.
func dialectNames() (names []string) {
	for _, d := range dialects.Dialects {
		names = append(names, d.Name())
	}
	return names
}

// completes is the hidden flag by which a shell's function asks.
const completes = "--completion-bash"

// Completes reports whether a shell asks what the last word may be, and gives the words
// before it, or all where it is a flag, as the library understands them best: a flag and its value
// apart, as bash takes them apart at =. Behind -- is another program's command line, for
// which nothing is offered.
func Completes(args []string) (words []string, asked bool) {
	if len(args) == 0 || args[0] != completes {
		return args, false
	}
	if len(args) > 1 && slices.Contains(args[1:len(args)-1], "--") {
		return nil, true
	}
	words = []string{completes}
	for _, arg := range args[1:] {
		name, value, ok := strings.Cut(arg, "=")
		switch {
		case arg == "=" && strings.HasPrefix(words[len(words)-1], "--"):
		case ok && strings.HasPrefix(name, "--"):
			words = append(words, name, value)
		default:
			words = append(words, arg)
		}
	}
	if last := len(words) - 1; last > 0 && !strings.HasPrefix(words[last], "-") {
		words = words[:last]
	}
	return words, true
}
