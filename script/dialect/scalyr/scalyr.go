// Package scalyr is the dialect of monitors for the Scalyr agent. scalyr.go
// reads the options, agent.go and discover.go find monitors in an agent's
// configuration.
//
// A monitor runs in a host program in Python (package python). host.go keeps
// that alive; message.go and ending.go read what it says, json.go and entries.go the
// lists in that, line.go the lines that it logs. map.go makes samples of what a monitor
// emits, batch.go those of one batch; known.go has what is known of its metrics, declare.go
// what it declares. recognize.go tells the dialect.
package scalyr

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/config/cmdline"
	"scriptbridge/internal/fsx"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/scalyr/python"
	"scriptbridge/script/dialect/scalyr/relaxedjson"
	"scriptbridge/script/process"
)

// Dialect runs monitors that were written for the Scalyr agent: Python
// classes, each in an interpreter of its own that stays alive and samples at
// its interval (host.go). What runs them there is a Python package of
// our own, or that of a real agent.
type Dialect struct{}

// Name is the dialect's.
func (Dialect) Name() string { return "scalyr" }

// Traits has the agent's own interval.
func (Dialect) Traits() dialect.Traits {
	return dialect.Traits{Prefix: "scalyr", Interval: defaultInterval, Options: options{}}
}

const defaultInterval = 30 * time.Second

// Files is the root of the Python package: the host, and what monitors import.
func (Dialect) Files() fs.FS {
	files, err := fs.Sub(python.Files, "package")
	if err != nil { // only of a name that is none
		return python.Files
	}
	return files
}

// options is `options` as it stands in the file.
type options struct {
	Module string     `yaml:"module" unset:"required" doc:"the dotted name; 'scalyr_agent.builtin_monitors.NAME' is looked for in the module paths first"`
	ID     string     `yaml:"id" doc:"becomes the label 'monitor_id'; an 'id' within 'config' is the same, but names no script"`
	Config config.Raw `yaml:"config" doc:"the monitor's own keys, as a map, or as a string of relaxed JSON like that of 'run_monitor -c'"`
	// Relative ones start from the folder of the configuration.
	ModulePaths []string `yaml:"module_paths" unset:"the configuration's folder" doc:"folders with modules, searched after Python's own"`
	Python      string   `yaml:"python" unset:"'python3'; on Windows the first of 'python', 'python3' and 'py -3' in 'PATH'" doc:"the interpreter. It must have the libraries that the monitor imports; it can be that of a virtual environment"`
	AgentConfig string   `yaml:"agent_config" doc:"an 'agent.json' that the monitor gets as its global configuration, with the agent's defaults. If what monitors can read in it changes, they are restarted"`
	// AgentPackage is the folder that holds a real agent's scalyr_agent.
	AgentPackage string `yaml:"agent_package" doc:"the folder of a real agent's 'scalyr_agent', such as '/usr/share/scalyr-agent-2/py', to use instead of scriptbridge's package"`

	Labels     []string          `yaml:"labels" doc:"extra fields that become labels, as 'field' or 'metric:field'"`
	DropFields []string          `yaml:"drop_fields" doc:"extra fields that are ignored, as 'field' or 'metric:field'"`
	TextValues map[string]string `yaml:"text_values" doc:"what values that are texts become, by metric: 'numeric', 'state' or 'info'"`

	MaxLabelLength int `yaml:"max_label_length" default:"128" doc:"the longest text of a label, in bytes"`
	MaxLabelValues int `yaml:"max_label_values" default:"50" doc:"how many different texts of a field"`
	MaxFamilies    int `yaml:"max_families" default:"500" doc:"how many metrics of a monitor"`
}

// The words of text_values.
const (
	textNumeric = "numeric"
	textState   = "state"
	textInfo    = "info"
)

// textLabel is the label of a text that is shown as an info.
const textLabel = "text"

// Prepare reads the options.
func (Dialect) Prepare(given config.Options) (dialect.New, error) {
	o, settings, err := readOptions(given)
	if err != nil {
		return nil, err
	}
	return func(s *dialect.Script, _ dialect.Memory) dialect.Runner {
		o := o.absolute(folderOf(s.Script))
		o.Python = o.interpreter(s.Script)[0]
		return &runner{script: s, options: o, config: settings}
	}, nil
}

// readOptions gives the options with their defaults, and the monitor's
// own configuration.
func readOptions(given config.Options) (o options, settings map[string]any, err error) {
	if err := given.Decode(&o); err != nil {
		return o, nil, err
	}
	if o.Module == "" {
		return o, nil, errors.New("options.module is missing: the name of the monitor's Python module")
	}
	for i, part := range strings.Split(o.Module, ".") {
		if part == "" || strings.ContainsAny(part, `/\`+" \t\n\x00") {
			return o, nil, fmt.Errorf("options.module %q is not the name of a Python module (part %d of it, between dots)", o.Module, i+1)
		}
	}
	for _, path := range append(slices.Clip(o.ModulePaths), o.Python, o.AgentConfig, o.AgentPackage) {
		if p := cmdline.DriveRelative(path); p != nil {
			return o, nil, fmt.Errorf("options: %s (%s)", p.Text, p.Remedy)
		}
	}
	for name, how := range o.TextValues {
		if !slices.Contains([]string{textNumeric, textState, textInfo}, how) {
			return o, nil, fmt.Errorf("options.text_values.%s: %q is not known (write numeric, state or info)", name, how)
		}
	}
	for name, n := range map[string]int{"max_label_length": o.MaxLabelLength, "max_label_values": o.MaxLabelValues, "max_families": o.MaxFamilies} {
		if n < 1 {
			return o, nil, fmt.Errorf("options.%s: %d is too small (write 1 or more)", name, n)
		}
	}
	plain := o.Config.Plain()
	if text, ok := plain.(string); ok { // as run_monitor takes it
		if plain, err = relaxedjson.Parse([]byte(text)); err != nil {
			return o, nil, fmt.Errorf("options.config: %w", err)
		}
	}
	settings, ok := plain.(map[string]any)
	if plain != nil && !ok {
		return o, nil, errors.New("options.config is not a map")
	}
	dropNulls(settings) // what is null is not there
	// Of an entry of `monitors`, pasted as it is.
	delete(settings, "module")
	err = o.identify(settings)
	return o, settings, err
}

// identify takes an id among the monitor's own keys for its id.
func (o *options) identify(settings map[string]any) error {
	given, ok := settings["id"]
	if !ok {
		return nil
	}
	delete(settings, "id")
	id, ok := pythonText(given)
	switch {
	case !ok:
		return errors.New("options.config.id is not a text")
	case o.ID != "" && o.ID != id:
		return fmt.Errorf("options.id is %q and options.config.id is %q (leave one of them out)", o.ID, id)
	}
	o.ID = id
	return nil
}

// dropNulls takes out members that are null, as the agent's reader does.
func dropNulls(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			dropNulls(item)
		}
	case map[string]any:
		for key, member := range v {
			if member == nil {
				delete(v, key)
			}
			dropNulls(member)
		}
	}
}

// absolute gives the options with all paths made absolute, from folder.
func (o options) absolute(folder string) options {
	from := func(path string) string {
		if path == "" {
			return path
		}
		return fsx.Absolute(folder, path)
	}
	paths := o.ModulePaths
	o.ModulePaths = nil
	for _, path := range paths {
		o.ModulePaths = append(o.ModulePaths, from(path))
	}
	if len(paths) == 0 {
		o.ModulePaths = []string{folder}
	}
	if cmdline.IsPath(o.Python) {
		o.Python = from(o.Python)
	}
	o.AgentConfig, o.AgentPackage = from(o.AgentConfig), from(o.AgentPackage)
	return o
}

// folderOf is where relative paths of a script's options start: the folder of
// the file that names it, else the working directory.
func folderOf(c *config.Script) string {
	folder := "."
	if c.Pos.File != "" {
		folder = filepath.Dir(c.Pos.File)
	}
	if abs, err := filepath.Abs(folder); err == nil {
		return abs
	}
	return folder
}

// ResolveModule gives the interpreter, the module's file as far as it can be
// found without Python, and its folder.
func (Dialect) ResolveModule(c *config.Script) (command []string, file, dir string) {
	o, _, err := readOptions(c.Options)
	if err != nil { // Prepare has said so
		return o.interpreter(c), "", ""
	}
	folder := folderOf(c)
	o = o.absolute(folder)
	file = o.moduleFile()
	if dir = folder; file != "" {
		dir = filepath.Dir(file)
	}
	return append(o.interpreter(c), "-u"), file, dir
}

// CheckPermissions refuses folders of modules that others may put files into,
// where they would run as root: Python takes whatever module of a name it finds.
// The agent's configuration tells monitors what to do, and which there are.
func (Dialect) CheckPermissions(s *dialect.Script, guard *process.Guard) error {
	o, _, err := readOptions(s.Options)
	if err != nil {
		return err
	}
	o = o.absolute(folderOf(s.Script))
	for _, dir := range append(o.ModulePaths, o.AgentPackage) {
		if err := guard.CheckFolder(dir); err != nil {
			return err
		}
	}
	if o.AgentConfig == "" {
		return nil
	}
	env, err := settingsEnv(&s.Settings)
	if err != nil {
		return err
	}
	// What is wrong with it the start tells. Its files are looked at all the same:
	// somebody may mend them in between.
	agent, _ := readAgent(o.AgentConfig, env)
	for _, path := range append([]string{o.AgentConfig}, agent.files()...) {
		if err := guard.CheckObeyed(path); err != nil {
			return err
		}
	}
	return nil
}

// Warnings names folders of modules that are not there, which may not be needed.
func (Dialect) Warnings(c *config.Script) (texts []string) {
	o, _, err := readOptions(c.Options)
	if err != nil || len(o.ModulePaths) == 0 {
		return nil
	}
	for _, dir := range o.absolute(folderOf(c)).ModulePaths {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		hint := cmp.Or(config.MissingHint(dir), "correct the path, or make the folder")
		texts = append(texts, fmt.Sprintf("options.module_paths: there is no folder %s (%s)", dir, hint))
	}
	return texts
}

// moduleFile finds the module's file: in the module paths, whose files are also
// members of scalyr_agent.builtin_monitors, or in the real agent; "" where it
// is elsewhere.
func (o *options) moduleFile() string {
	const builtin = "scalyr_agent.builtin_monitors."
	names := []string{o.Module}
	if rest, ok := strings.CutPrefix(o.Module, builtin); ok {
		names = append(names, rest)
	}
	for _, dir := range append(slices.Clip(o.ModulePaths), o.AgentPackage) {
		for _, name := range names {
			base := filepath.Join(dir, filepath.Join(strings.Split(name, ".")...))
			for _, file := range []string{base + ".py", filepath.Join(base, "__init__.py")} {
				if info, err := os.Stat(file); dir != "" && err == nil && info.Mode().IsRegular() {
					return file
				}
			}
		}
	}
	return ""
}

// short is the last part of the module's name.
func (o *options) short() string {
	return o.Module[strings.LastIndexByte(o.Module, '.')+1:]
}

// fieldIn reports whether list names a metric's field.
func fieldIn(list []string, metric, field string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		return entry == field || entry == metric+":"+field
	})
}

// interval is what the monitor is told, unless its own configuration says
// otherwise.
func (r *runner) interval() time.Duration {
	return cmp.Or(r.script.Interval, r.script.FallbackInterval, defaultInterval)
}
