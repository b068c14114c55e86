package cmdline

import (
	"slices"
	"strings"
)

// leader is a program that another one follows in a command line: an
// interpreter, or a wrapper. Which of its options have a value decides which
// word is the script's file, so each is listed; one that is not is taken for
// one without a value.
type leader struct {
	// wrapper: what follows is a whole command. Otherwise a script's file
	// follows.
	wrapper bool
	// own is how many words of its own a wrapper has before the command, such
	// as the duration of timeout; number: only where it is one; assigns: and
	// words such as LANG=C.
	own     int
	number  bool
	assigns bool
	// direct holds the letters of the options with a value behind which a
	// wrapper has no own words.
	direct string
	// root: the own word is the folder in which paths begin.
	root bool
	// shell: the wrapper hands its command to a shell, as the shell's script.
	shell bool
	// transparent: a wrapper starts the command as whoever called it would have,
	// behind own words of its own; see Executed.
	transparent bool

	// code holds the letters of the short options after which the code itself
	// stands in the command line, in the same word or the next: perl -e,
	// python3 -m; or is read from standard input: sh -s. codes are the long
	// ones.
	code, codes string
	// later: the code is the first word that is no option; joins: all that
	// follows the option is code; program: a first word that is no option is
	// code where no option names a file.
	later, joins, program bool
	// takes holds the letters of those that have a value, in the same word or
	// the next, and holds those that have one in the same word only. values are
	// the long ones with a value in the next word.
	takes, holds, values string
	// file and files are those whose value is the script's file.
	file, files string
	// words: an option is a whole word behind one dash, as in java -jar.
	// abbreviated: the beginning of its name, in any case, will do.
	words, abbreviated bool
	// class: a file is only what ends in .java or follows --source, else it is a
	// class.
	class bool
	// addresses: what is no option is an address; see readers.
	addresses bool
	// also begins an option, beside the dash.
	also string
}

var (
	shell  = leader{code: "cs", later: true, takes: "oO", values: "rcfile init-file emulate", also: "+"}
	csh    = leader{code: "cs", later: true}
	python = leader{code: "cm", takes: "WXQ", values: "check-hash-based-pycs jit"}
	pwsh   = leader{words: true, abbreviated: true, joins: true, files: "file",
		codes:  "command commandwithargs cwa encodedcommand ec",
		values: "executionpolicy ep workingdirectory wd windowstyle version inputformat if outputformat of configurationfile configurationname custompipename settingsfile psconsolefile encodedarguments ea"}
	node = leader{code: "ep", codes: "eval print run", takes: "rC", values: "require import loader experimental-loader env-file env-file-if-exists " +
		"conditions title icu-data-dir max-http-header-size input-type inspect-port debug-port redirect-warnings diagnostic-dir disable-warning " +
		"cpu-prof-dir cpu-prof-name cpu-prof-interval heap-prof-dir heap-prof-name heap-prof-interval heapsnapshot-signal heapsnapshot-near-heap-limit " +
		"report-dir report-directory report-filename report-signal openssl-config tls-cipher-list tls-keylog tls-min-v1 unhandled-rejections " +
		"dns-result-order experimental-default-type watch-path trace-event-categories trace-event-file-pattern secure-heap secure-heap-min " +
		"v8-pool-size test-name-pattern test-skip-pattern test-reporter test-reporter-destination test-concurrency test-timeout " +
		"localstorage-file allow-fs-read allow-fs-write disable-proto security-revert build-snapshot-config experimental-config-file trace-require-module"}
	java = leader{words: true, class: true, files: "jar", codes: "m module", values: "cp classpath class-path p module-path upgrade-module-path " +
		"add-modules add-exports add-opens add-reads patch-module limit-modules enable-native-access source describe-module d"}
	awk = leader{program: true, file: "fE", files: "file exec", code: "e", codes: "source", takes: "vFilW", holds: "dDLop",
		values: "assign field-separator include load"}
	tclsh   = leader{words: true, values: "encoding"}
	cscript = leader{words: true, also: "/"}
	su      = leader{wrapper: true, shell: true, own: 1, code: "c", codes: "command session-command", takes: "gGsw",
		values: "group supp-group shell whitelist-environment"}
	user  = leader{wrapper: true, own: 1}
	plain = leader{wrapper: true}
)

var leaders = map[string]leader{
	"ash": shell, "bash": shell, "dash": shell, "ksh": shell, "sh": shell, "zsh": shell, "rbash": shell, "mksh": shell, "yash": shell,
	"csh": csh, "tcsh": csh,
	"fish": {code: "c", codes: "command", takes: "CdoDfp",
		values: "init-command debug debug-output debug-stack-frames features profile profile-startup"},
	"expect": {code: "c", file: "fb", takes: "D"}, "tclsh": tclsh, "wish": tclsh,
	"python": python, "pythonw": python, "pypy": python,
	"perl": {code: "eE", takes: "I", holds: "CDFidmMVx"},
	"ruby": {code: "e", takes: "CEIrX", holds: "FKTWix", values: "encoding external-encoding internal-encoding enable disable dump backtrace-limit parser"},
	"lua":  {code: "e", takes: "lW"}, "luajit": {code: "e", takes: "lj", holds: "Ob"},
	"php": {code: "rRBE", codes: "run process-code process-begin process-end", file: "fF", files: "file process-file", takes: "cdtzS",
		values: "php-ini define docroot zend-extension server"},
	"node": node, "nodejs": node, "java": java, "javaw": java,
	"mono":       {words: true, values: "config"},
	"dotnet":     {words: true, values: "additionalprobingpath depsfile runtimeconfig fx-version roll-forward additional-deps"},
	"rscript":    {code: "e", takes: "g", values: "gui encoding default-packages"},
	"powershell": pwsh, "pwsh": pwsh, "cscript": cscript, "wscript": cscript,
	"awk": awk, "gawk": awk, "mawk": awk, "nawk": awk,

	"busybox": plain, "toybox": plain, "catchsegv": plain, "unbuffer": plain, "chronic": plain, "eatmydata": plain, "nocache": plain,
	"dumb-init": plain, "valgrind": plain, "firejail": plain,
	"gosu": user, "su-exec": user, "setuidgid": user, "s6-setuidgid": user,
	"caffeinate": {wrapper: true, takes: "tw"},
	"cgexec":     {wrapper: true, takes: "g"},
	"choom":      {wrapper: true, takes: "np", values: "adjust pid"},
	"chroot":     {wrapper: true, root: true, own: 1, takes: "ugG", values: "userspec groups"},
	"chrt": {wrapper: true, own: 1, number: true, takes: "TPDp",
		values: "sched-runtime sched-period sched-deadline pid"},
	"cpulimit":         {wrapper: true, takes: "lpec", values: "limit pid exe cpu"},
	"dbus-launch":      plain,
	"dbus-run-session": {wrapper: true, values: "config-file dbus-daemon"},
	"doas":             {wrapper: true, takes: "aCu"},
	"env":              {wrapper: true, transparent: true, assigns: true, code: "S", codes: "split-string", takes: "uCaP", joins: true, values: "unset chdir argv0"},
	"fakeroot":         {wrapper: true, takes: "lfsib", values: "lib faked"},
	"faketime":         {wrapper: true, own: 1, takes: "p"},
	"flock": {wrapper: true, own: 1, code: "c", codes: "command", takes: "wE",
		values: "timeout wait conflict-exit-code"},
	"ionice": {wrapper: true, transparent: true, takes: "cnpPu", values: "class classdata pid pgid uid"},
	"ltrace": {wrapper: true, takes: "aADeFlnopsuwxX",
		values: "align config debug indent library output"},
	"nice":  {wrapper: true, transparent: true, takes: "n", values: "adjustment"},
	"nohup": {wrapper: true, transparent: true},
	"nsenter": {wrapper: true, takes: "tSGW", holds: "muinpCTrw",
		values: "target setuid setgid wdns"},
	"numactl": {wrapper: true, takes: "ipPmNCw",
		values: "interleave preferred preferred-many membind cpunodebind physcpubind weighted-interleave"},
	"pkexec":  {wrapper: true, values: "user"},
	"prlimit": {wrapper: true, takes: "op", holds: "cdefilmnqrstuvxy", values: "output pid"},
	"runuser": {wrapper: true, own: 1, direct: "u", code: "c", codes: "command session-command", takes: "ugGsw",
		values: "user group supp-group shell whitelist-environment"},
	"script": {wrapper: true, own: 1, code: "c", codes: "command", takes: "IOBTEmo", holds: "t",
		values: "log-in log-out log-io log-timing echo logging-format output-limit"},
	"setarch": {wrapper: true, own: 1},
	"setpriv": {wrapper: true, values: "ambient-caps inh-caps bounding-set ruid euid rgid egid reuid regid groups securebits pdeathsig ptracer " +
		"selinux-label apparmor-profile landlock-access landlock-rule seccomp-filter"},
	"setsid":    {wrapper: true, transparent: true},
	"ssh-agent": {wrapper: true, takes: "aEPOt"},
	"stdbuf":    {wrapper: true, transparent: true, takes: "ioe", values: "input output error"},
	"strace": {wrapper: true, takes: "abeEIoOpPsSuUX", values: "attach trace signal status output columns string-limit user env interruptible " +
		"trace-path summary-sort-by summary-columns summary-syscall-overhead abbrev verbose raw read write quiet fault inject kvm detach-on " +
		"const-print-style decode-pids"},
	"su": su,
	"sudo": {wrapper: true, assigns: true, takes: "aCcDghpRrTtUu", values: "auth-type close-from login-class chdir group host prompt chroot role " +
		"command-timeout type other-user user"},
	"systemd-cat": {wrapper: true, takes: "tp", values: "identifier priority stderr-priority level-prefix namespace"},
	"systemd-run": {wrapper: true, takes: "HMpuE", values: "host machine property unit description slice service-type uid gid nice working-directory " +
		"setenv on-active on-boot on-startup on-unit-active on-unit-inactive on-calendar timer-property path-property socket-property " +
		"background job-mode json root-directory"},
	"systemd-inhibit": {wrapper: true, values: "what who why mode"},
	"taskset":         {wrapper: true, transparent: true, own: 1},
	"time":            {wrapper: true, transparent: true, takes: "fo", values: "format output"},
	"timeout":         {wrapper: true, transparent: true, takes: "ks", own: 1, values: "kill-after signal"},
	"tini":            {wrapper: true, takes: "pe"},
	"unshare": {wrapper: true, takes: "RwSGl", values: "root wd setuid setgid map-user map-group map-users map-groups propagation setgroups " +
		"monotonic boottime load-interp owner"},
	"xvfb-run": {wrapper: true, takes: "efnpsw", values: "error-file auth-file server-num xauth-protocol server-args wait"},
}

// isOption reports whether a word is an option. A lone dash is a program on
// standard input, or the login of su.
func (l leader) isOption(word string) bool {
	return strings.HasPrefix(word, "-") || len(word) > 1 && l.also != "" && strings.HasPrefix(word, l.also)
}

// option is what an option says of the words behind it.
type option struct {
	code   bool // it announces code, or has it
	file   bool // its value is the script's file
	at     int  // where that begins in the word; 0: it is the next word
	values int  // how many words behind it are its values
	direct bool // see leader
}

// option reads a word that is an option.
func (l leader) option(word string) (o option) {
	switch {
	case word == "-":
		return option{code: !l.wrapper}
	case l.words || strings.HasPrefix(word, "--"):
		return l.longOption(word)
	}
	for i := 1; i < len(word); i++ {
		is := func(letters string) bool { return strings.IndexByte(letters, word[i]) >= 0 }
		last := i == len(word)-1
		o.direct = o.direct || is(l.direct)
		switch {
		case is(l.code) && word[0] == '-':
			o.code = true
			if !l.later {
				return o
			}
		case is(l.file):
			o.file = true
			if !last {
				o.at = i + 1
			}
			return o
		case is(l.holds):
			return o
		case is(l.takes) && l.later: // sh -co pipefail
			o.values++
		case is(l.takes):
			if last {
				o.values = 1
			}
			return o
		}
	}
	return o
}

// longOption reads an option that is a whole word.
func (l leader) longOption(word string) (o option) {
	name, value, joined := strings.Cut(strings.TrimLeft(word, "-/"), "=")
	is := func(names string) bool { return slices.Contains(strings.Fields(names), name) }
	if l.abbreviated {
		name = strings.ToLower(name)
		is = func(names string) bool {
			return slices.ContainsFunc(strings.Fields(names), func(n string) bool { return strings.HasPrefix(n, name) })
		}
	}
	o.direct = name == "user" && l.direct != ""
	switch {
	case is(l.codes):
		o.code = true
	case is(l.files):
		o.file = true
		if joined {
			o.at = len(word) - len(value)
		}
	case is(l.values) && !joined:
		o.values = 1
	}
	return o
}
