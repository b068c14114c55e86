// Package config reads scriptbridge's configuration file: plain structs, read
// strictly, with secrets hidden. It knows no dialect: what it must know of one
// is passed in, and what stands under options is handed on as it came
// (dialect.go).
//
// The structs are in config.go, receive.go, upload.go and remote_write.go; their
// tags say all that there is to say of a key (keys.go). load.go reads files with the help of
// internal/yamltree, which turns YAML into values that know their line.
// decode.go, values.go and formats.go read those into structs; levels.go knows
// where a key belongs that is in the wrong place. script.go, settings.go and
// parameter.go have what the tags of a script's entry cannot say; cmdline finds
// the script in its command. files.go and secret.go read the files that a
// configuration names, statsd_mapping.go and listen.go check some of them.
// fingerprint.go tells whether two configurations are the same; render.go
// writes one as YAML.
package config

import (
	"maps"
	"runtime"
	"slices"
	"time"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
)

// Config is one configuration, complete: defaults filled in, includes read,
// every script valid by itself. Scripts of `include` follow those of the file,
// in the order in which the patterns name them. Its fields' tags, and those of
// the structs in it, are the description of the file; see key.
type Config struct {
	Global   Global      `yaml:"global" aka:"defaults" doc:"what scripts fall back to"`
	_        []pattern   `yaml:"include" aka:"import" doc:"further files, or patterns of such, relative to this one; they have 'scripts:' and nothing else"`
	Scripts  []*Script   `yaml:"scripts" aka:"commands checks plugins jobs" doc:"the scripts to run"`
	Discover []*Discover `yaml:"discover" aka:"discovery directories" doc:"folders of scripts"`
	Events   Events      `yaml:"events" doc:"what becomes of events"`
	Receive  Receive     `yaml:"receive" aka:"receivers inputs" doc:"what other programs push"`
	Upload   Upload      `yaml:"upload" aka:"outputs exporters" doc:"where values are sent in addition to the metrics page; needs '--storage.path'"`
	Textfile *Textfile   `yaml:"textfile" doc:"a file for node_exporter's textfile collector"`
	_        struct{}    `yaml:"web" refused:"is set by flags" remedy:"such as --web.listen-address and --web.config.file"`
	_        struct{}    `yaml:"log" refused:"is set by flags" remedy:"--log.level and --log.format; for the stream of events write events: {log: …}"`
	_        struct{}    `yaml:"storage" refused:"is set by a flag" remedy:"--storage.path"`

	// File is the path it was read from; Files are all that took part, the
	// included ones too.
	File  string
	Files []string
	// At says where the parts of receive and upload stand, by names such as
	// "receive.statsd". It is for messages and no part of what is wanted.
	At map[string]Position
	// Warnings are worth a log line and stop nothing.
	Warnings []error

	parsed map[string]parsed // its files, for LoadAfter
}

// Global holds what a script falls back to.
type Global struct {
	// 0 when left out: each dialect has its own default.
	Interval time.Duration `yaml:"interval" min:"1s" unset:"'60s'" doc:"how often a script runs that does not declare a period"`
	// 0 when left out.
	Timeout       time.Duration `yaml:"timeout" min:"1ms" unset:"'5s'" doc:"how long a run of a script may take that does not declare a 'maxruntime'"`
	MaxConcurrent int           `yaml:"max_concurrent" default:"16" min:"1" doc:"how many scripts run at once. Others wait in the order in which they were due; the waiting time is a metric. [Probes](probe.md#runs) use at most half of it"`
	AverageWindow time.Duration `yaml:"average_window" default:"5m" min:"1s" doc:"what a metric with calctype Average is averaged over"`
	// TrustedPaths is first, since what is read after it is held against it.
	TrustedPaths []string `yaml:"trusted_paths" format:"path" first:"true" doc:"folders and files that root takes as they are although others may change them, see [security.md](security.md#whose-files-are-obeyed). What lies in such a folder is still looked at"`
	// DropTexts goes with each script and with Receive.
	DropTexts   bool              `yaml:"text_labels" words:"keep drop" default:"keep" doc:"'drop' leaves texts that are written for people out of '/metrics' and '/probe', which everybody may read who reaches the port: the messages of events, the text of a plugin's check, texts that a dialect's 'text_values' makes an info. Logs, private pages, and uploads but for what sends the page have them all the same"`
	Labels      map[string]string `yaml:"labels" format:"label" doc:"labels on every series of a script. 'script', 'le', 'quantile' and names that begin with '__' are taken, in every 'labels:'"`
	Log         ScriptLog         `yaml:"log" doc:"what of scripts goes to the log"`
	Confinement `yaml:",inline"`
}

// ScriptLog says what of a script goes to the bridge's own log.
type ScriptLog struct {
	Stderr string `yaml:"stderr" words:"debug info warn failed none" unset:"'info'" doc:"its standard error: each line at the level 'debug', 'info' or 'warn'; 'failed' at 'info', when the run has failed, and then the last fifty lines; 'none' never. The script's page shows it all the same"`
}

func (g *Global) finish(e *entry, f yamltree.Field, _ bool) {
	e.compareTimes(f.Value, g.Interval, g.Timeout)
	e.checkConfinement(f.Value, runtime.GOOS)
}

// Confinement is what a script's processes may not do. What `global` says holds for
// scripts that do not say otherwise.
type Confinement struct {
	Limits          Limits `yaml:"limits" process:"true" doc:"what a run may use, see [security.md](security.md#limits)"`
	Nice            int    `yaml:"nice" min:"-20" max:"19" process:"true" unset:"the bridge's own" doc:"the niceness of its processes; below the bridge's own needs root, and 0 is the bridge's own"`
	Umask           string `yaml:"umask" format:"umask" process:"true" unset:"'022'" doc:"the umask that it starts with, in octal"`
	NoNewPrivileges bool   `yaml:"no_new_privileges" default:"false" process:"true" doc:"nothing that it starts has more rights than itself: 'sudo', 'su' and other set-user-ID programs do not work"`
}

// Limits are what one run may use; 0 is no limit.
type Limits struct {
	CPU       time.Duration `yaml:"cpu" min:"1s" zero:"true" unset:"none" doc:"CPU time of a run; see [security.md](security.md#limits) for this and the others"`
	Memory    int64         `yaml:"memory" unit:"bytes" min:"1MiB" zero:"true" unset:"none" doc:"memory of a run"`
	Processes int           `yaml:"processes" min:"1" max:"4194304" zero:"true" unset:"none" doc:"processes and threads of a run at once"`
	Files     int           `yaml:"files" min:"4" max:"1048576" zero:"true" unset:"none" doc:"open files of each process, pipes and sockets too"`
	Output    int64         `yaml:"output" unit:"bytes" min:"1" max:"1GiB" zero:"true" unset:"'max_output'" doc:"bytes on standard output and standard error together. Where it is given and 'max_output' is not, that is as much"`
}

// Settings is what a script and a discover entry have in common. A zero value
// means that the file does not say. The labels of `global` are under those of the
// entry. Interval and Timeout stay 0 when unset: what counts is first the
// configuration, then the script's declaration, then Global.
type Settings struct {
	Enabled          *bool               `yaml:"enabled" unset:"'true'" doc:"'false' keeps the script from running: it is still read and checked, its name is taken, and it is shown as disabled; see [Scripts that do not run](operating.md#scripts-that-do-not-run)"`
	Dialect          string              `yaml:"dialect" aka:"type format data_format protocol" unset:"{default dialect}" doc:"the protocol of the script: {dialects}"`
	Interval         time.Duration       `yaml:"interval" aka:"every period frequency schedule check_interval" min:"1s" unset:"what the script declares, else 'global'" doc:"how often it runs"`
	Cron             string              `yaml:"cron" aka:"crontab" format:"schedule" doc:"when it runs, in the place of 'interval': five fields as in a crontab, or '@daily' and the like; 'CRON_TZ=Europe/Brussels' in front names another time zone than this machine's, see [Schedule](#schedule)"`
	Timeout          time.Duration       `yaml:"timeout" min:"1ms" unset:"what the script declares, else 'global'" doc:"how long a run may take"`
	Retries          int                 `yaml:"retries" aka:"retry max_retries" min:"1" max:"10" zero:"true" default:"0" doc:"how often a run that fails is tried again before it counts as failed, see [Retries](#retries)"`
	Prefix           *string             `yaml:"prefix" format:"prefix" unset:"the dialect's name" doc:"put in front of every metric's name; empty for none"`
	Labels           map[string]string   `yaml:"labels" aka:"tags" format:"label" doc:"on every series of the script; they override those of 'global'"`
	Env              map[string]Secret   `yaml:"env" aka:"environment" format:"variable" process:"true" doc:"additional environment variables. Their values are never shown. '${env:NAME}' and '${credential:NAME}' stand for [secrets that are elsewhere](security.md#secrets)"`
	PassEnv          []string            `yaml:"pass_env" format:"variable name" process:"true" doc:"variables of the bridge's own environment that the script is given besides those in [security.md](security.md#what-a-script-is-given)"`
	EnvFile          string              `yaml:"env_file" aka:"environment_file" format:"secret file" process:"true" doc:"a file of such, with lines 'NAME=value'; it must not be readable by others"`
	User             string              `yaml:"user" aka:"run_as runas username" process:"true" unset:"the bridge's own" doc:"run as this account, with its groups, 'HOME', 'USER' and 'LOGNAME'; needs root"`
	Group            string              `yaml:"group" process:"true" unset:"that of 'user', or the bridge's own" doc:"run with this primary group; the supplementary ones stay those of 'user', or the bridge's own. Needs root"`
	WorkingDirectory string              `yaml:"working_directory" aka:"cwd workdir working_dir chdir" format:"path" first:"true" process:"true" unset:"the script's own folder" doc:"where it runs"`
	MaxAge           time.Duration       `yaml:"max_age" aka:"ttl" min:"1s" unset:"twice the interval plus the timeout; with 'cron' until the run after the next one, plus the timeout" doc:"how long values stay after the script last printed them; of a folder that is read, how old a file in it may be"`
	MaxSeries        int                 `yaml:"max_series" default:"10000" min:"1" doc:"series beyond this number are refused and counted"`
	MaxOutput        int64               `yaml:"max_output" default:"16MiB" unit:"bytes" min:"1" max:"1GiB" doc:"a run that writes more is killed; of a folder that is read, what all its files may have"`
	AverageWindow    time.Duration       `yaml:"average_window" min:"1s" unset:"'global''s" doc:"what a metric with calctype Average is averaged over"`
	HonorTimestamps  bool                `yaml:"honor_timestamps" default:"false" doc:"put the script's own timestamps on the page"`
	Probe            bool                `yaml:"probe" default:"false" doc:"allow '/probe' to run the script ([probe.md](probe.md))"`
	KeepDescendants  bool                `yaml:"descendants" words:"kill keep" default:"kill" process:"true" doc:"what happens to processes that a run leaves behind; 'keep' is for the rare script that starts a daemon. While something lives of 16 of its runs it is not started again"`
	Metrics          map[string]Override `yaml:"metrics" write:"write the id or name of a metric, and beneath it what is to be changed" doc:"overrides of what a script declares, by a metric's id or name, see below"`
	Options          Options             `yaml:"options" doc:"options of the dialect, see below"`
	Log              ScriptLog           `yaml:"log" process:"true" doc:"what of it goes to the log; what is not said is 'global''s"`
	Confinement      `yaml:",inline"`
	// Withheld are variables of the bridge's environment that hold secrets, which scripts
	// are not given.
	Withheld []string
	// TrustedPaths are Global's, and those of the command line; DropTexts is
	// Global's.
	TrustedPaths []string
	DropTexts    bool
	// DisabledAt is where the file says enabled: false.
	DisabledAt Position
}

// Disabled reports whether the file says that the script does not run.
func (s *Settings) Disabled() bool { return s.Enabled != nil && !*s.Enabled }

func (s *Settings) start(e *entry) {
	s.Labels = maps.Clone(e.load.config.Global.Labels)
	s.AverageWindow = e.load.config.Global.AverageWindow
	s.DropTexts = e.load.config.Global.DropTexts
	s.Confinement = e.load.config.Global.Confinement
	s.Log = e.load.config.Global.Log
	if t := e.load.trusted; t != nil {
		s.TrustedPaths = t.Except
	}
	s.TrustedPaths = slices.Concat(s.TrustedPaths, e.load.config.Global.TrustedPaths)
	s.Dialect = e.dialects.first()
}

// finish makes room for as much output as limits.output allows, where nothing else
// is said of it. A script that runs all the time has no run to measure.
func (s *Settings) finish(e *entry, f yamltree.Field, _ bool) {
	e.checkConfinement(f.Value, runtime.GOOS)
	if s.Disabled() {
		s.DisabledAt = Position{File: e.file, Line: f.Value.Get("enabled").Line}
	}
	if e.dialects.find(s.Dialect).Modules {
		if own := f.Value.Get("limits"); own != nil {
			for _, key := range []string{"cpu", "output"} {
				if limit := own.Value.Get(key); limit != nil {
					e.fail(limit.Line, "leave it out", "limits: %s is not for the dialect %s, whose scripts run all the time", key, s.Dialect)
				}
			}
		}
		for _, not := range []struct{ key, remedy string }{
			{"cron", "write interval: in its place"}, {"retries", "leave it out: one that ends is started again"},
		} {
			if own := f.Value.Get(not.key); own != nil {
				e.fail(own.Line, not.remedy, "%s is not for the dialect %s, whose scripts run all the time", not.key, s.Dialect)
			}
		}
		s.Limits.CPU, s.Limits.Output = 0, 0
	}
	if cron, interval := f.Value.Get("cron"), f.Value.Get("interval"); cron != nil && interval != nil {
		first, second := cron, interval
		if interval.Line < cron.Line {
			first, second = interval, cron
		}
		e.fail(second.Line, "leave one of the two out", "%s is beside %s (line %d): both say when it runs", second.Key, first.Key, first.Line)
	}
	if s.Limits.Output > 0 && f.Value.Get("max_output") == nil {
		s.MaxOutput = s.Limits.Output
	}
}

// Script is one entry of `scripts`.
type Script struct {
	// Name is as configured, or made from the command.
	Name string `yaml:"name" first:"true" format:"name" unset:"the script's file name without its last extension; of 'cat FILE' and the like that of the file" doc:"the 'script' label; unique"`
	// Command is the argument list. A relative path of the program has been made
	// absolute, from the folder of the file that names it. A script whose dialect
	// runs modules has no Command: its options name the module.
	Command []string `yaml:"command" aka:"cmd exec script path file run program" unset:"required, unless the dialect runs modules or reads a folder" doc:"one line, split at blanks, where single and double quotes group and a backslash is an ordinary character; or a list of words. There is no shell, see below"`
	// Program is the index in Command of the script's own file (1 in
	// `python3 /srv/disks.py`).
	Program int
	// Parameters are what a request to /probe may put into the command, by
	// name; see Words.
	Parameters map[string]Parameter `yaml:"parameters" format:"parameter" doc:"what a request to '/probe' can put into the command, by name"`
	_          struct{}             `yaml:"args" refused:"is not a key" remedy:"write the arguments in command, behind the script"`
	// Directory is absolute; empty but for a dialect that reads folders, whose
	// scripts have no Command.
	Directory string `yaml:"directory" format:"path" unset:"required where the dialect reads a folder" doc:"in place of a command, for a dialect that reads a folder ([textfile.md](textfile.md)): its path"`
	Settings  `yaml:",inline"`
	Pos       Position

	line *cmdline.Line // the command as it was written; nil where no file has it
}

// Fingerprint tells apart scripts with their settings. Where they stand in a file
// makes no difference, so that a line inserted above an entry leaves its script
// alone at a reload.
func (s *Script) Fingerprint() string {
	c, options := *s, s.Options.written()
	if !s.Disabled() {
		c.Enabled = nil
	}
	c.Pos, c.DisabledAt, c.line, c.Options = Position{}, Position{}, nil, Options{}
	c.Parameters = maps.Clone(s.Parameters)
	for name, p := range c.Parameters {
		p.form = nil // it comes from the pattern
		c.Parameters[name] = p
	}
	return Fingerprint(nil, c, options)
}

// Discover is one entry of `discover`: a folder of scripts, or the
// configuration of an agent that ran them.
type Discover struct {
	Directory string   `yaml:"directory" aka:"path folder dir" format:"file" unset:"required, unless the dialect has a folder of its own" doc:"the folder whose scripts run"` // absolute
	_         struct{} `yaml:"name" refused:"is not for an entry of discover" remedy:"each script that it finds has its own"`
	_         struct{} `yaml:"command" refused:"is not for an entry of discover" remedy:"each script that it finds has its own"`
	_         struct{} `yaml:"parameters" refused:"is not for an entry of discover" remedy:"a parameter needs a place in a command: name the script under scripts"`
	// AgentConfig is absolute; then there is no Directory.
	AgentConfig string `yaml:"agent_config" format:"file" doc:"for a dialect that runs modules: the agent's configuration, whose monitors run"`
	Settings    `yaml:",inline"`
	Pos         Position
}

// Override is what the operator says of one metric, by declared id or name.
type Override struct {
	Type string  `yaml:"type" words:"gauge counter untyped" unset:"as declared" doc:"the metric's type"`
	Name string  `yaml:"name" unset:"as declared" doc:"the metric's name"`
	Help string  `yaml:"help" unset:"as declared" doc:"its description"`
	Unit *string `yaml:"unit" unset:"as declared" doc:"its unit; empty for none"`
	Drop bool    `yaml:"drop" default:"false" doc:"leave the metric out"`
}

func (o *Override) finish(e *entry, f yamltree.Field, clean bool) {
	if clean && *o == (Override{}) {
		e.fail(f.Line, "give a type, name, help or unit, or drop: true", "changes nothing")
	}
}

// Events is the section `events`.
type Events struct {
	Retention time.Duration `yaml:"retention" default:"10m" min:"1s" doc:"how long an event stays on the page"`
	Log       EventLog      `yaml:"log"`
}

// EventLog says where the event stream goes.
type EventLog struct {
	Path   string `yaml:"path" default:"-" format:"path or -" doc:"where each event is written as one line; '-' is standard output. A file is reopened by SIGHUP and POST /-/reload"`
	Format string `yaml:"format" default:"logfmt" words:"logfmt json" doc:"the form of these lines"`
}

// Textfile is the section `textfile`; nil is none.
type Textfile struct {
	Directory string `yaml:"directory" format:"path" required:"name the folder that node_exporter reads (--collector.textfile.directory)" doc:"the folder of '--collector.textfile.directory', in which the bridge keeps the file 'scriptbridge.prom'"`
}

// Error is one thing that is wrong in a file; what is wrong with a whole
// configuration is a joined list of them.
type Error = yamltree.Error

// Position is where a thing stands, for messages.
type Position = yamltree.Position

// Located is an error of a thing that stands somewhere in a file.
type Located = yamltree.Located

// WithExcerpts is err, whose text shows beneath each error that has one an
// excerpt of its line. It is for the terminal of who may read the file: which
// words in it are secrets can only be guessed.
func WithExcerpts(err error) error { return yamltree.WithExcerpts(err) }
