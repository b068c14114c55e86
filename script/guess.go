package script

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/process"
)

// Guess says which dialect a command seems to speak, and why, for a person
// who did not say it. What the file's folder, text and name tell is believed
// first, and nothing is run. Where they tell nothing, the command is run as it
// is, and where that tells nothing either, once with -c: so that no script gets
// an argument which it may take for something else, unless all else has failed.
// The dialect is always one of the table; the error names what was seen but is
// not in it. It returns soon after ctx has ended.
func (p *Pool) Guess(ctx context.Context, c *config.Script) (dialect, why string, err error) {
	s := &Script{Script: c}
	s.File, s.Dir = placeOf(c)
	g := guess(s.File, process.Head(s.File), func(args ...string) *process.Outcome {
		cmd, err := s.resolveCommand()
		if err != nil {
			return &process.Outcome{Result: record.Error, ExitCode: -1, Err: err}
		}
		cmd.Args = append(cmd.Args, args...)
		cmd.Timeout = guessTimeout
		return p.launcher.Run(ctx, cmd)
	})
	if g.dialect == bareNumber {
		return "", "", fmt.Errorf("the command %s, which no dialect reads: print a name in front of it, as `queue_length 12` is read by the dialects prometheus and instrumental; --dialect names the one to try", g.why)
	}
	if _, err := findDialect(g.dialect); err != nil {
		return "", "", fmt.Errorf("the command seems to speak %s, since %s, but %w; --dialect names the one to try", g.dialect, g.why, err)
	}
	return g.dialect, g.why, nil
}

const guessTimeout = 10 * time.Second // of each run

// guessed is a dialect by name, and a clause to follow `since`. The zero value
// is no guess. What is seen and is no dialect has a name too, which is not in
// the table.
type guessed struct{ dialect, why string }

// guess weighs a script's path (empty when not known), its text (nil when it
// has none), and what run gives, which it calls only when it must.
func guess(path string, text []byte, run func(args ...string) *process.Outcome) guessed {
	var printed *process.Outcome
	for _, look := range []func() guessed{
		func() guessed { return guessFolder(path) },
		func() guessed { return guessFile(text) },
		func() guessed { return guessName(path) },
		func() guessed { printed = run(); return guessOutput(printed) },
		func() guessed { return guessConfiguration(run("-c")) },
		func() guessed { return guessNumber(printed) },
	} {
		if g := look(); g.dialect != "" {
			return g
		}
	}
	return guessed{config.DefaultDialect, "there is no clue (--dialect names another)"}
}

// folderClues are the folders in which scripts of a dialect lie.
var folderClues = []struct{ folder, dialect string }{
	{".instrumental_scripts", "instrumental"},
	{"nagios/plugins", "nagios"},
	{"nagios/libexec", "nagios"},
	{"monitoring-plugins", "nagios"},
}

// guessFolder looks at where a script lies.
func guessFolder(path string) guessed {
	dir := filepath.ToSlash(filepath.Dir(path))
	for _, clue := range folderClues {
		if strings.HasSuffix(dir, "/"+clue.folder) {
			return guessed{clue.dialect, "it lies in a folder " + clue.folder}
		}
	}
	return guessed{}
}

// guessName looks at what a script is called.
func guessName(path string) guessed {
	if strings.HasPrefix(filepath.Base(path), "check_") {
		return guessed{"nagios", "its name begins with check_"}
	}
	return guessed{}
}

// textClues are what tells a dialect in a script's own text; the first one
// that is found counts.
var textClues = []struct {
	dialect string
	why     string
	found   *regexp.Regexp
}{
	{"scalyr", "its text speaks of ScalyrMonitor", regexp.MustCompile(`\bScalyrMonitor\b|\bscalyr_agent\b`)},
	// Exposition that is printed.
	{"prometheus", "its text has a # TYPE line of Prometheus", regexp.MustCompile(`# TYPE \S+ (counter|gauge|histogram|summary|untyped|unknown|info|stateset)\b`)},
	{"prometheus", "its text uses a library of Prometheus", regexp.MustCompile(`(?m)^\s*(from|import) prometheus_client\b|^\s*require ['"]prometheus/client`)},
	{"nagios", "its text uses a library of plugins", regexp.MustCompile(`\b(Nagios|Monitoring)::Plugin\b|(?m)^\s*(from|import) nagiosplugin\b|\bSTATE_(OK|WARNING|CRITICAL|UNKNOWN)\b`)},
}

// Both words of CoScale's protocol, as a script compares its argument with
// them, or one of them and the JSON that it prints for -c. A -c or -d of some
// command in the script is not that. Who knows -w too is a plugin, for which
// -w and -c are thresholds.
var (
	asksForConfig  = regexp.MustCompile(asksFor("c") + `|\bgetopts\s+['"]?:?(cd|dc)`)
	asksForData    = regexp.MustCompile(asksFor("d") + `|\bgetopts\s+['"]?:?(cd|dc)`)
	asksForWarning = regexp.MustCompile(asksFor("w"))
	declares       = regexp.MustCompile(`["'](metrics|events)\\?["']`)
)

// asksFor is how a script looks for an option: '-c', "-c", -c) of a case, = -c.
func asksFor(letter string) string {
	return strings.ReplaceAll(`['"]-X['"]|(?m:^|\bin|[;|(])\s*-X\s*(\|[^)\n]*)?\)|=\s*-X\b`, "X", letter)
}

// guessFile looks at a script's own text.
func guessFile(text []byte) guessed {
	if told := guessFiles(text); len(told) > 0 {
		return told[0]
	}
	return guessed{}
}

// guessFiles gives all that a script's own text speaks for, the likeliest
// first.
func guessFiles(text []byte) (told []guessed) {
	for _, clue := range textClues {
		if clue.found.Match(text) {
			told = append(told, guessed{clue.dialect, clue.why})
		}
	}
	switch config := asksForConfig.Match(text) && !asksForWarning.Match(text); {
	case config && asksForData.Match(text):
		told = append(told, guessed{"coscale", "its text asks whether its argument is -c or -d"})
	case config && declares.Match(text):
		told = append(told, guessed{"coscale", "its text asks whether its argument is -c, and declares metrics"})
	}
	return told
}

// guessOutput looks at what a script did that was run as it is.
func guessOutput(o *process.Outcome) guessed {
	lines := strings.FieldsFunc(string(o.Stdout), func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range lines {
		if commentForm.MatchString(line) || labelledForm.MatchString(line) {
			return guessed{"prometheus", printsExposition}
		}
	}
	if len(lines) > 0 && localForm.MatchString(lines[0]) {
		return guessed{"check_mk", "it prints lines as a local check of check_mk"}
	}
	if state := o.ExitCode; state >= 0 && state < len(nagiosStates) && len(lines) > 0 {
		said := stateForm.FindString(lines[0])
		switch {
		case said == nagiosStates[state]:
			return guessed{"nagios", fmt.Sprintf("it says %s and exits with %d", said, state)}
		case perfdataForm.MatchString(lines[0]):
			return guessed{"nagios", "its first line has performance data behind a |"}
		}
	}
	return guessLines(lines)
}

var (
	stateForm    = regexp.MustCompile(`\b(OK|WARNING|CRITICAL|UNKNOWN)\b`)
	perfdataForm = regexp.MustCompile(`\|\s*('[^'=]+'|[^\s'=]+)=[-+]?[0-9.]+[^\s;]*(;|\s|$)`)
	localForm    = regexp.MustCompile(`^[0-3P] ("[^"]+"|\S+) (-|[^\s=|]+=[-+]?[0-9.]+\S*) \S`)
	numberForm   = regexp.MustCompile(`^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?%?$`)
	commentForm  = regexp.MustCompile(`^# (TYPE|HELP|UNIT) [a-zA-Z_:][a-zA-Z0-9_:]*( |$)|^# EOF$`)
	labelledForm = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*\{.*\} [-+0-9.]*([eE][-+]?\d+|\d|Inf|NaN)( |$)`)
	plainForm    = regexp.MustCompile(`^\s*(\S+)\s+[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(\s+(\d+))?\s*$`)
	nameForm     = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	unitForm     = regexp.MustCompile(`_(total|seconds|bytes|ratio|celsius|count|sum|bucket|info|up)$`)
)

// guessLines looks at lines `name value`, which may be Prometheus's text format
// or Instrumental's. They are Prometheus's when a name has one of its
// units at its end, and Instrumental's when a name could not be Prometheus's,
// when a time is in seconds, or when nothing tells.
func guessLines(lines []string) guessed {
	plain := 0
	prometheus, instrumental := "", ""
	for _, line := range lines {
		m := plainForm.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		plain++
		switch name, stamp := m[1], m[5]; {
		case !nameForm.MatchString(name):
			instrumental = fmt.Sprintf("it prints lines of a name and a value, and %q is no name for Prometheus", texts.Shorten(name, 60))
		case len(stamp) == len("1500000000"):
			instrumental = "it prints lines of a name, a value and a time in seconds"
		case unitForm.MatchString(name):
			prometheus = fmt.Sprintf("it prints lines of a name and a value, and %s is a name of Prometheus's kind", texts.Shorten(name, 60))
		}
	}
	switch {
	case plain == 0 || plain < len(lines)/2:
		return guessed{}
	case instrumental != "":
		return guessed{"instrumental", instrumental}
	case prometheus != "":
		return guessed{"prometheus", prometheus}
	default:
		return guessed{"instrumental", printsPlainLines}
	}
}

// bareNumber is what no dialect reads.
const bareNumber = "a bare number"

// guessNumber looks at what a script printed that nothing else tells of: a
// number, as for Zabbix or adhocteam's script_exporter.
func guessNumber(o *process.Outcome) guessed {
	if lines := strings.Fields(string(o.Stdout)); len(lines) == 1 && numberForm.MatchString(lines[0]) {
		return guessed{bareNumber, "prints a number and nothing else"}
	}
	return guessed{}
}

// The strongest clue of an output and the weakest: lines of a name and a value
// may be anything.
const (
	printsExposition = "it prints Prometheus's text format"
	printsPlainLines = "it prints lines of a name and a value"
)

// guessConfiguration looks at what a script did that was run with -c.
func guessConfiguration(o *process.Outcome) guessed {
	var declared struct{ Metrics, Events []json.RawMessage }
	at := bytes.IndexByte(o.Stdout, '{')
	if at < 0 || json.NewDecoder(bytes.NewReader(o.Stdout[at:])).Decode(&declared) != nil {
		return guessed{}
	}
	switch {
	case declared.Metrics != nil:
		return guessed{"coscale", "-c printed JSON with metrics"}
	case declared.Events != nil:
		return guessed{"coscale", "-c printed JSON with events"}
	}
	return guessed{}
}
