package scalyr

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// last is the Result that tells how the life ended, which is never well.
func (l *monitorSession) last(o *process.Outcome, cause error) *dialect.Result {
	t := l.result(o)
	switch {
	case l.refused != nil:
		t.Failure, t.Err = record.Invalid, l.refusal()
		t.Disabled = l.refused.Kind == "disabled"
	case errors.Is(cause, errHung):
		o.Result = record.Timeout
		o.Err = fmt.Errorf("was ended: it has not sampled for %v (its interval of %v and the timeout of %v)", l.patience(), l.interval, l.timeout())
	case !l.spoke && o.ExitCode >= 0:
		t.Failure, t.Err = record.Error, l.noPython(o)
	case o.Result != record.OK:
		if l.bye != nil && l.bye.Message != "" {
			t.Err = errors.New(l.bye.Message)
		}
	case l.bye == nil:
		t.Failure, t.Err = record.Error, errors.New("ended without a word: something in it has ended the interpreter")
	case l.bye.Reason == "finished":
		t.Failure, t.Err = record.Error, errors.New("the monitor's run has returned: it measures nothing any more")
	default:
		t.Failure, t.Err = record.Error, fmt.Errorf("the monitor has %s%s", l.bye.Reason, behindColon(l.bye.Message))
	}
	return t
}

// shopOffer is the exit code of the python.exe that Windows comes with, which says that
// Python was not found and can be had in the Microsoft Store.
const shopOffer = 9009

func behindColon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// noPython says what to do about a program that has not even begun to run the
// host: there is no Python in it that could.
func (l *monitorSession) noPython(o *process.Outcome) error {
	if o.ExitCode == shopOffer {
		return fmt.Errorf("%s is no Python, but offers the Microsoft Store's: install Python 3.6 or newer for all users of this machine, or name one that is installed: options: {python: …}",
			l.runner.options.Python)
	}
	lines := strings.Split(strings.TrimSpace(string(o.Stderr)), "\n")
	printed := texts.Shorten(strings.TrimSpace(lines[len(lines)-1]), 200)
	return fmt.Errorf("%s has not begun to run the monitor%s (options: {python: …} names Python 3.6 or newer)",
		l.runner.options.Python, behindColon(printed))
}

// refusal says why a monitor does not run.
func (l *monitorSession) refusal() error {
	m := l.refused
	what := map[string]string{
		"python":      "the interpreter is too old",
		"module":      "the module cannot be loaded",
		"class":       "the module has no monitor that could be made",
		"config":      "the configuration is refused",
		"initialize":  "the monitor cannot be initialised",
		"unsupported": "the monitor does not run on this system",
		"disabled":    "the monitor has disabled itself",
	}[m.Kind]
	if m.Kind == "config" && m.Field != "" {
		what += fmt.Sprintf(": field %q", m.Field)
	}
	return fmt.Errorf("%s%s%s", cmp.Or(what, "the monitor is refused"), behindColon(m.Message), l.remedy(m))
}

// remedy is what can be done about a refusal, in brackets; empty for nothing.
func (l *monitorSession) remedy(m *message) string {
	switch m.Hint {
	case "python2":
		return " (that is of Python 2: the module has to be converted to Python 3, as the program 2to3 does)"
	case "syntax":
		return fmt.Sprintf(" (Python %s cannot read this line: a module for Python 2 has to be converted to Python 3, as the program 2to3 does; "+
			"one for a newer Python is given it by options: {python: …})", l.python)
	case "pywin32":
		return fmt.Sprintf(" (the module needs the libraries of pywin32, which %s lacks: install them for it, as python -m pip install pywin32 does)", l.runner.options.Python)
	case "builtin":
		return " (options: {module_paths: […]} names the folder of a copy of it, options: {agent_package: …} the one that holds the agent's own scalyr_agent)"
	case "agent_package":
		return " (the agent's own package has more than ours: options: {agent_package: …} names the folder that holds its scalyr_agent)"
	}
	switch {
	case m.Kind == "python":
		return fmt.Sprintf(" (options: {python: …} names another than %s)", l.runner.options.Python)
	case m.Kind == "config" && m.Field != "":
		return fmt.Sprintf(" (set it under options: {config: {%s: …}})", m.Field)
	case m.Kind == "module":
		return " (options: {module_paths: […]} names the folders that have it, options: {python: …} an interpreter with the libraries that it needs)"
	}
	return ""
}
