package process

import (
	"slices"
	"strings"
)

// What a process is given of ours is a list, and not what was left over: the
// environment here, descriptors and privileges in the files of each system.

// supervisors are the variables that speak to the bridge itself: from systemd,
// from sudo, and its own; also the mark of a run that the bridge itself may be
// part of. A name that ends in _ stands for all that begin so.
var supervisors = []string{
	"LISTEN_", "WATCHDOG_", "MEMORY_PRESSURE_", "SYSTEMD_", "SUDO_", "SCRIPTBRIDGE_",
	"NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID", "MANAGERPID", "FDSTORE",
	"RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY",
}

// protocols are those of them that a service manager gives to one process alone: no
// configuration passes them on.
var protocols = []string{"LISTEN_", "WATCHDOG_", "NOTIFY_SOCKET"}

// handedOn are the variables that another user's script is given, as cron and
// sudo do.
var handedOn = []string{"PATH", "LANG", "LC_", "TZ", "TERM"}

// named reports whether a variable, NAME=VALUE, is in a list.
func named(variable string, list []string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.ContainsFunc(list, func(entry string) bool {
		return name == entry || strings.HasSuffix(entry, "_") && strings.HasPrefix(name, entry)
	})
}

// Environment gives what of env, the bridge's own environment, a script sees: all
// but what is meant for the bridge. A script with an account of its own sees a
// few variables, those of its account, and the ones that pass names.
func Environment(env []string, account *Account, pass []string) []string {
	passed := func(v string) bool { return slices.Contains(pass, nameOf(v)) && !named(v, protocols) }
	if account == nil {
		return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return named(v, supervisors) && !passed(v) })
	}
	own := account.Env()
	kept := slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return !passed(v) && (!named(v, handedOn) || named(v, supervisors))
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
