package process

import (
	"slices"
	"strings"
)

// What a process is given of ours is a list, and not what was left over: the
// environment here, descriptors and privileges in the files of each system.

// bridgeVariables are those that are meant for the bridge itself: systemd's, sudo's and
// its own, and the mark of a run, which the bridge itself may be part of. A name that ends
// in _ stands for all names that begin with it.
var bridgeVariables = []string{
	"LISTEN_", "WATCHDOG_", "MEMORY_PRESSURE_", "SYSTEMD_", "SUDO_", "SCRIPTBRIDGE_",
	"NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID", "MANAGERPID", "FDSTORE",
	"RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY",
}

// neverPassed are those that a service manager gives to one process alone. pass_env does
// not pass them on.
var neverPassed = []string{"LISTEN_", "WATCHDOG_", "NOTIFY_SOCKET"}

// accountVariables are those that a script with an account of its own is given, as by cron
// and sudo.
var accountVariables = []string{"PATH", "LANG", "LC_", "TZ", "TERM"}

// inList reports whether a variable, NAME=VALUE, is in a list.
func inList(variable string, list []string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.ContainsFunc(list, func(entry string) bool {
		return name == entry || strings.HasSuffix(entry, "_") && strings.HasPrefix(name, entry)
	})
}

// Environment gives what of env, the bridge's own environment, a script sees: all
// but what is meant for the bridge, or is withheld. A script with an account of its own sees a
// few variables, those of its account, and the ones that pass names.
func Environment(env []string, account *Account, pass, withheld []string) []string {
	passed := func(v string) bool { return slices.Contains(pass, nameOf(v)) && !inList(v, neverPassed) }
	ours := func(v string) bool {
		return inList(v, bridgeVariables) || slices.Contains(withheld, nameOf(v)) && !inList(v, accountVariables)
	}
	if account == nil {
		return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return ours(v) && !passed(v) })
	}
	own := account.Env()
	kept := slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return !passed(v) && (!inList(v, accountVariables) || ours(v))
	})
	kept = slices.DeleteFunc(kept, func(v string) bool {
		return slices.ContainsFunc(own, func(o string) bool { return nameOf(o) == nameOf(v) })
	})
	return append(kept, own...)
}

func nameOf(variable string) string {
	name, _, _ := strings.Cut(variable, "=")
	return name
}
