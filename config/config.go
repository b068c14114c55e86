// Package config reads scriptbridge's configuration file: plain structs, read
// strictly, with secrets hidden. It knows no dialect: what stands under
// options is handed to the dialect as it came.
//
// internal/yamltree turns YAML into values that know their line, object.go reads
// values, load.go and settings.go say what stands in the file, command.go
// finds the script in a command line, parameter.go the places in it that a
// request may fill.
package config

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
)

// Config is one configuration, complete: defaults filled in, includes read,
// every script valid by itself. Scripts of `include` follow those of the file,
// in the order in which the patterns name them.
type Config struct {
	Global   Global
	Scripts  []*Script
	Discover []*Discover
	Events   Events
	Receive  Receive
	Upload   Upload

	// File is the path it was read from; Files are all that took part, the
	// included ones too.
	File  string
	Files []string
	// At says where the parts of receive and upload stand, by names such as
	// "receive.statsd". It is for messages and no part of what is wanted.
	At map[string]Position
	// Warnings are worth a log line and stop nothing.
	Warnings []string
}

// Global holds what a script falls back to.
type Global struct {
	Interval      time.Duration // 0 when left out: each dialect has its own default
	Timeout       time.Duration // 0 when left out
	MaxConcurrent int
	AverageWindow time.Duration
	Labels        map[string]string
}

// Settings is what a script and a discover entry have in common. A zero value
// means that the file does not say; Load has filled in the defaults of
// Dialect, MaxSeries, MaxOutput and AverageWindow, and has put the labels of
// `global` under those of the entry. Interval and Timeout stay 0, so that a
// script may declare them before Global's are asked.
type Settings struct {
	Dialect          string
	Interval         time.Duration // overrides the declared period
	Timeout          time.Duration // overrides the declared maxruntime
	Prefix           *string       // nil: the dialect's own
	Labels           map[string]string
	Env              map[string]Secret
	EnvFile          string // absolute
	User             string
	WorkingDirectory string // absolute
	MaxAge           time.Duration
	MaxSeries        int
	MaxOutput        int64 // bytes
	AverageWindow    time.Duration
	HonorTimestamps  bool
	Probe            bool
	KeepDescendants  bool // descendants: keep
	Metrics          map[string]Override
	Options          Options
}

// Equal reports whether s and t say the same. Where their options stand in a
// file makes no difference, so that a line inserted above an entry leaves its
// script alone at a reload.
func (s Settings) Equal(t Settings) bool {
	same := s.Options.Equal(t.Options)
	s.Options, t.Options = Options{}, Options{}
	return same && reflect.DeepEqual(s, t)
}

// Script is one entry of `scripts`.
type Script struct {
	Settings
	Name string // as configured, or made from the command
	// Command is the argument list; Program is the index in it of the
	// script's own file (1 in `python3 /srv/disks.py`). A relative path of
	// the program has been made absolute, from the folder of the file that
	// names it. A script of the dialect scalyr has no Command: its options
	// name a module.
	Command []string
	Program int
	// Parameters are what a request to /probe may put into the command, by
	// name; see Words.
	Parameters map[string]Parameter
	Pos        Position

	line *cmdline.Line // the command as it was written; nil where no file has it
}

// Equal reports whether s and t are the same script with the same settings,
// wherever they stand in a file.
func (s *Script) Equal(t *Script) bool {
	return s.Name == t.Name && s.Program == t.Program &&
		slices.Equal(s.Command, t.Command) && maps.EqualFunc(s.Parameters, t.Parameters, Parameter.equal) &&
		s.Settings.Equal(t.Settings)
}

// Discover is one entry of `discover`: a folder of scripts, or the
// configuration of an agent that ran them.
type Discover struct {
	Settings
	Directory   string // absolute
	AgentConfig string // absolute; then there is no Directory
	Pos         Position
}

// Override is what the operator says of one metric, by declared id or name.
type Override struct {
	Type string // "", gauge, counter, untyped
	Name string
	Help string
	Unit *string // nil: as declared; empty: none
	Drop bool
}

// Events is the section `events`.
type Events struct {
	Retention time.Duration
	Log       EventLog
}

// EventLog says where the event stream goes.
type EventLog struct {
	Path   string // "-" is standard output
	Format string // logfmt or json
}

// Error is one thing that is wrong in a file; what is wrong with a whole
// configuration is a joined list of them.
type Error = yamltree.Error

// Position is where a thing stands, for messages.
type Position = yamltree.Position

// WithExcerpts is err, whose text shows beneath each error that has one an
// excerpt of its line. It is for the terminal of who may read the file: which
// words in it are secrets can only be guessed.
func WithExcerpts(err error) error { return yamltree.WithExcerpts(err) }
