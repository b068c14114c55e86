package process

import (
	"runtime"
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

// systemVariables are those without which hardly a program of Windows starts, or finds its
// files. They are withheld from no script.
var systemVariables = []string{
	"SystemRoot", "SystemDrive", "windir", "ComSpec", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "USERNAME", "APPDATA", "LOCALAPPDATA", "ProgramData", "ALLUSERSPROFILE", "PUBLIC",
	"ProgramFiles", "ProgramFiles(x86)", "ProgramW6432", "CommonProgramFiles", "CommonProgramFiles(x86)", "COMPUTERNAME", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "OS",
}

// SameVariable reports whether two names are that of one variable: on Windows whatever their
// case is.
func SameVariable(a, b string) bool {
	return a == b || runtime.GOOS == "windows" && strings.EqualFold(a, b)
}

// named reports whether a list has the name of a variable, NAME=VALUE.
func named(variable string, list []string) bool {
	name := nameOf(variable)
	return slices.ContainsFunc(list, func(entry string) bool { return SameVariable(name, entry) })
}

// inList reports whether a variable, NAME=VALUE, is in a list.
func inList(variable string, list []string) bool {
	name := nameOf(variable)
	return slices.ContainsFunc(list, func(entry string) bool {
		return SameVariable(name, entry) || strings.HasSuffix(entry, "_") && len(name) > len(entry) && SameVariable(name[:len(entry)], entry)
	})
}

// Environment gives what of env, the bridge's own environment, a script sees: all
// but what is meant for the bridge, or is withheld. A script with an account of its own sees a
// few variables, those of its account, and the ones that pass names.
func Environment(env []string, account *Account, pass, withheld []string) []string {
	passed := func(v string) bool { return named(v, pass) && !inList(v, neverPassed) }
	ours := func(v string) bool {
		return inList(v, bridgeVariables) || named(v, withheld) && !inList(v, accountVariables) && !(runtime.GOOS == "windows" && inList(v, systemVariables))
	}
	if account == nil {
		return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return ours(v) && !passed(v) })
	}
	own := account.Env()
	kept := slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return !passed(v) && (!inList(v, accountVariables) || ours(v))
	})
	kept = slices.DeleteFunc(kept, func(v string) bool {
		return slices.ContainsFunc(own, func(o string) bool { return SameVariable(nameOf(o), nameOf(v)) })
	})
	return append(kept, own...)
}

// nameOf is the name in NAME=VALUE. On Windows that of the current folder of a drive begins
// with an equals sign.
func nameOf(variable string) string {
	from := 0
	if runtime.GOOS == "windows" && strings.HasPrefix(variable, "=") {
		from = 1
	}
	if i := strings.IndexByte(variable[from:], '='); i >= 0 {
		return variable[:from+i]
	}
	return variable
}
