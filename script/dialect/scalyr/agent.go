package scalyr

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/script/dialect/scalyr/relaxedjson"
)

// agentConfig is an agent's configuration, all of its files in one.
type agentConfig struct {
	file     string
	global   map[string]any // all keys, monitors too
	monitors []monitorEntry
	besides  []string // the other files that it is read from, and their folders
	warnings []string // of files that are passed over
}

// files are all but the first that it is read from, and the folders of such.
func (a *agentConfig) files() []string {
	if a == nil { // the first cannot be read
		return nil
	}
	return a.besides
}

// monitorEntry is one entry of `monitors`.
type monitorEntry struct {
	module, id string
	config     map[string]any // the entry, whole
	file       string         // that it stands in
	hasID      bool
}

// short is the last part of the module's name.
func (m *monitorEntry) short() string { return m.module[strings.LastIndexByte(m.module, '.')+1:] }

// Keys that may stand in several files, where the lists and maps are put
// together; any other may stand in one alone.
var sharedKeys = []string{"import_vars", "logs", "journald_logs", "k8s_logs", "monitors", "server_attributes", "workers"}

// readAgent reads file and the *.json files of its configuration folder,
// as the agent does; env gives the environment's variables, empty for none. The
// error joins all that is wrong. The monitors that the agent adds by itself
// (system and process metrics) are not added.
func readAgent(file string, env func(string) string) (*agentConfig, error) {
	a := &agentConfig{file: file, global: make(map[string]any)}
	text, err := fsx.ReadFile(file)
	if err != nil {
		problem, remedy := config.Unreadable(file, err)
		return nil, errors.New((&config.Error{Thing: file, Problem: problem, Remedy: remedy}).Error())
	}
	main, err := parseFile(file, text, env)
	if err != nil {
		return nil, err
	}
	from := make(map[string]string) // the file of each key
	errs := []error{a.merge(file, main, from)}
	folder, _ := a.global["config_directory"].(string)
	folders := []string{besides(file, cmp.Or(folder, "agent.d"))}
	if extra := env("SCALYR_EXTRA_CONFIG_DIR"); extra != "" {
		folders = append(folders, besides(file, extra))
	}
	fragments := a.fragments(folders)
	a.besides = slices.Concat(folders, fragments)
	for _, path := range fragments {
		text, err := fsx.ReadFile(path)
		if err != nil {
			problem, _ := config.Unreadable(path, err)
			a.passOver(path, problem)
			continue
		}
		part, err := parseFile(path, text, env)
		if err == nil {
			err = a.merge(path, part, from)
		}
		errs = append(errs, err)
	}
	errs = append(errs, a.identify())
	return a, errors.Join(errs...)
}

// besides makes a path absolute that starts from file's folder.
func besides(file, path string) string {
	return fsx.Absolute(filepath.Dir(file), path)
}

// fragments lists the *.json files of folders, each in the order of its names.
func (a *agentConfig) fragments(folders []string) (paths []string) {
	for _, folder := range folders {
		// ReadDir sorts; a folder that is missing has no files.
		entries, err := os.ReadDir(folder)
		if pe, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(err, fs.ErrNotExist) {
			a.passOver(folder, pe.Err.Error())
		}
		for _, e := range entries {
			if filepath.Ext(e.Name()) == ".json" {
				paths = append(paths, filepath.Join(folder, e.Name()))
			}
		}
	}
	return paths
}

// passOver notes that a file is not read: beside others it costs only itself.
func (a *agentConfig) passOver(path, problem string) {
	a.warnings = append(a.warnings, fmt.Sprintf("%s is passed over: %s", path, problem))
}

// parseFile reads the text of one file and puts its import_vars in place.
func parseFile(file string, text []byte, env func(string) string) (map[string]any, error) {
	v, err := relaxedjson.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: is not an object", file)
	}
	replacer, err := imports(root["import_vars"], env)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	delete(root, "import_vars")
	return replaceTexts(root, replacer).(map[string]any), nil
}

// imports makes what replaces $NAME for every name of import_vars.
func imports(v any, env func(string) string) (*strings.Replacer, error) {
	if v == nil {
		return strings.NewReplacer(), nil
	}
	entries, ok := v.([]any)
	if !ok {
		return nil, errors.New("import_vars is not a list")
	}
	values := make(map[string]string)
	for i, e := range entries {
		name, ok := e.(string)
		fallback := ""
		if object, isObject := e.(map[string]any); isObject {
			name, ok = object["var"].(string)
			fallback, _ = object["default"].(string)
		}
		if !ok || name == "" {
			return nil, fmt.Errorf("import_vars[%d] is neither a name nor {var: …, default: …}", i)
		}
		values["$"+name] = cmp.Or(env(name), fallback)
	}
	// The longest first: $HOST must not spoil $HOSTNAME.
	names := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, name, values[name])
	}
	return strings.NewReplacer(pairs...), nil
}

// replaceTexts replaces in every text within v, but not in keys.
func replaceTexts(v any, r *strings.Replacer) any {
	switch v := v.(type) {
	case string:
		return r.Replace(v)
	case []any:
		for i := range v {
			v[i] = replaceTexts(v[i], r)
		}
	case map[string]any:
		for key := range v {
			v[key] = replaceTexts(v[key], r)
		}
	}
	return v
}

// merge takes one file's keys in.
func (a *agentConfig) merge(file string, part map[string]any, from map[string]string) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(part)) {
		v := part[key]
		first, again := from[key]
		from[key] = cmp.Or(first, file)
		switch {
		case again && !slices.Contains(sharedKeys, key):
			errs = append(errs, fmt.Errorf("%s: %q is in %s already", file, key, first))
			continue
		case key == "monitors":
			errs = append(errs, a.add(file, v))
		}
		switch have := a.global[key].(type) {
		case []any:
			if more, ok := v.([]any); ok {
				v = slices.Concat(have, more)
			}
		case map[string]any:
			if more, ok := v.(map[string]any); ok {
				maps.Copy(have, more)
				v = have
			}
		}
		a.global[key] = v
	}
	return errors.Join(errs...)
}

// add takes the entries of one file's monitors.
func (a *agentConfig) add(file string, v any) error {
	entries, ok := v.([]any)
	if !ok {
		return fmt.Errorf("%s: monitors is not a list", file)
	}
	var errs []error
	for i, e := range entries {
		entry, ok := e.(map[string]any)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: monitors[%d] is not an object", file, i))
			continue
		}
		m := monitorEntry{config: entry, file: file}
		if m.module, _ = entry["module"].(string); m.module == "" {
			errs = append(errs, fmt.Errorf("%s: monitors[%d] has no module", file, i))
			continue
		}
		switch id := entry["id"].(type) {
		case nil:
		default:
			if m.id, m.hasID = pythonText(id); !m.hasID {
				errs = append(errs, fmt.Errorf("%s: monitors[%d] (%s): id is not a text", file, i, m.module))
				continue
			}
		}
		a.monitors = append(a.monitors, m)
	}
	return errors.Join(errs...)
}

// pythonText is what Python's str makes of a single value of JSON; false for a
// list or an object.
func pythonText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case json.Number:
		return pythonNumber(v), true
	}
	return "", false
}

func pythonNumber(n json.Number) string {
	text := n.String()
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0"
		}
		return text
	}
	x, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && x < 0:
		return "-inf"
	case err != nil:
		return "inf"
	case x != 0 && (math.Abs(x) < 1e-4 || math.Abs(x) >= 1e16):
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	text = strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// identify gives an id to the monitors that have none: their place among all of
// the same short name; none to the only one of its name. Of two with the same
// module and id, which the agent would let write over each other, the second is
// an error.
func (a *agentConfig) identify() error {
	of := make(map[string]int)
	for i := range a.monitors {
		of[a.monitors[i].short()]++
	}
	var errs []error
	place := make(map[string]int)
	first := make(map[[2]string]string)
	for i := range a.monitors {
		m := &a.monitors[i]
		place[m.short()]++
		what, remedy := "", "give one of the two another id"
		if !m.hasID && of[m.short()] > 1 {
			m.id = strconv.Itoa(place[m.short()])
			what, remedy = ", its place among its like,", "give it an id of its own"
		}
		key := [2]string{m.module, m.id}
		if file, taken := first[key]; taken {
			errs = append(errs, fmt.Errorf("%s: monitors: module %q with id %q%s is in %s already (%s)", m.file, m.module, m.id, what, file, remedy))
			continue
		}
		first[key] = m.file
	}
	return errors.Join(errs...)
}

// interval is how often a monitor samples; 0 where neither its entry nor the
// agent's configuration nor env says so.
func (a *agentConfig) interval(m *monitorEntry, env func(string) string) (time.Duration, error) {
	const global = "global_monitor_sample_interval"
	for _, v := range []any{m.config["sample_interval"], a.global[global], env("SCALYR_" + strings.ToUpper(global))} {
		if v == nil || v == "" {
			continue
		}
		secs, err := strconv.ParseFloat(fmt.Sprint(v), 64)
		if err != nil || !(secs >= 0.1 && secs <= 1e9) {
			return 0, fmt.Errorf("%s: module %q with id %q: sample_interval %v is not a number of seconds (0.1 or more)", m.file, m.module, m.id, v)
		}
		return time.Duration(secs * float64(time.Second)), nil
	}
	return 0, nil
}

// modulePaths are the folders that the agent looks for modules in, besides
// those that Python knows: monitors/local and monitors/contrib beside its own
// package, then additional_monitor_module_paths. Last come the monitors of the
// agent itself, where users put theirs as well, if it is installed.
func (a *agentConfig) modulePaths(agentPackage string, env func(string) string) []string {
	roots := []string{agentPackage}
	if agentPackage == "" {
		// Of a tarball, and on Windows: DIR/config/agent.json.
		roots = []string{filepath.Join(filepath.Dir(filepath.Dir(a.file)), "py")}
		if runtime.GOOS != "windows" {
			roots = append(roots, "/usr/share/scalyr-agent-2/py")
		}
	}
	var paths, builtin []string
	for _, root := range roots {
		for _, sub := range []string{"monitors/local", "monitors/contrib"} {
			if dir := filepath.Join(root, sub); isDir(dir) {
				paths = append(paths, dir)
			}
		}
		if dir := filepath.Join(root, "scalyr_agent", "builtin_monitors"); isDir(dir) {
			builtin = append(builtin, dir)
		}
	}
	additional, ok := a.global["additional_monitor_module_paths"].(string)
	if !ok {
		additional = env("SCALYR_ADDITIONAL_MONITOR_MODULE_PATHS")
	}
	for _, path := range filepath.SplitList(additional) {
		if path != "" {
			paths = append(paths, besides(a.file, path))
		}
	}
	return append(paths, builtin...)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
