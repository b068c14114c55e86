package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dialects "scriptbridge/script/dialect/all"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"scriptbridge/config"
	"scriptbridge/script"
)

var update = flag.Bool("update", false, "write the tables of the reference and the schema of the configuration")

const schemaFile = "docs/scriptbridge.schema.json"

// setting is a key of a map of the configuration, as the tags of the struct say
// that config reads it into.
type setting struct {
	name   string
	typ    reflect.Type
	tag    reflect.StructTag
	shared bool // it is one of an embedded struct
}

// settingsOf gives the keys of a struct, but for those that are known only to be
// refused.
func settingsOf(t reflect.Type) (all []setting) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		_, refused := f.Tag.Lookup("refused")
		switch {
		case rest == "inline":
			for _, s := range settingsOf(f.Type) {
				s.shared = true
				all = append(all, s)
			}
		case name != "" && !refused:
			all = append(all, setting{name: name, typ: f.Type, tag: f.Tag})
		}
	}
	return all
}

// inner gives the struct that a setting's map, or each of the maps in it, is read
// into; nil where it has none.
func (s setting) inner() reflect.Type {
	t := s.typ
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || len(settingsOf(t)) == 0 {
		return nil
	}
	return t
}

// section reports whether the setting is one map of its own.
func (s setting) section() bool { return s.typ.Kind() == reflect.Struct && s.inner() != nil }

// words are all that the setting may be.
func (s setting) words(t testing.TB) []string {
	if strings.Contains(s.tag.Get("doc"), "{dialects}") {
		return dialectNames(t)
	}
	return strings.Fields(s.tag.Get("words"))
}

var quoted = regexp.MustCompile(`(^|[\s(\[])'([^']+)'`)

// markdown gives a tag's text: what stands in single quotes there is code.
func markdown(text string) string {
	text = strings.ReplaceAll(text, "{default dialect}", "'"+dialects.Dialects[0].Name()+"'")
	return strings.ReplaceAll(quoted.ReplaceAllString(text, "$1`$2`"), "|", `\|`)
}

// row is the setting in a table of the reference; prefix is that of its key.
func (s setting) row(t testing.TB, prefix string) string {
	unset := "none"
	switch {
	case s.tag.Get("required") != "":
		unset = "required"
	case strings.TrimSpace(s.tag.Get("default")) != s.tag.Get("default"):
		unset = fmt.Sprintf("`%q`", s.tag.Get("default"))
	case s.tag.Get("default") != "":
		unset = "`" + s.tag.Get("default") + "`"
	case s.tag.Get("unset") != "":
		unset = markdown(s.tag.Get("unset"))
	}
	var more []string
	if words := s.words(t); len(words) > 0 {
		last := len(words) - 1
		more = append(more, "`"+strings.Join(words[:last], "`, `")+"` or `"+words[last]+"`")
	}
	if least := s.tag.Get("min"); least != "" && least != "1" && least != "1ms" {
		more = append(more, "at least `"+least+"`")
	}
	if most := s.tag.Get("max"); most != "" {
		more = append(more, "at most `"+most+"`")
	}
	doc := markdown(strings.ReplaceAll(s.tag.Get("doc"), ": {dialects}", ""))
	if doc == "" {
		t.Errorf("%s%s has no doc", prefix, s.name)
	}
	if len(more) > 0 {
		doc += " (" + strings.Join(more, "; ") + ")"
	}
	return fmt.Sprintf("| `%s%s` | %s | %s |\n", prefix, s.name, unset, doc)
}

// rows are those of a struct, with the sections in it.
func rows(t testing.TB, of reflect.Type, prefix string, shared bool) (text string) {
	for _, s := range settingsOf(of) {
		switch {
		case s.shared && !shared:
		case s.section():
			text += rows(t, s.inner(), prefix+s.name+".", shared)
		default:
			text += s.row(t, prefix)
		}
	}
	return text
}

// tables are the maps of the configuration that have a table of their own, by what
// the marks in the page call them.
func tables(all map[string]reflect.Type, name string, of reflect.Type) map[string]reflect.Type {
	for _, s := range settingsOf(of) {
		if inner := s.inner(); inner != nil {
			at := strings.TrimPrefix(name+"."+s.name, ".")
			if name != "" && s.section() {
				continue // it has rows in the table of what it is in
			}
			if at != "receive" && at != "upload" {
				all[at] = inner
			}
			if !strings.HasPrefix(at, "discover.") {
				tables(all, at, inner)
			}
		}
	}
	return all
}

// TestDocsReference holds the tables of the reference, which stand between marks,
// against the tags that they are made of; with -update it writes them.
func TestDocsReference(t *testing.T) {
	known := tables(map[string]reflect.Type{}, "", reflect.TypeFor[config.Config]())
	for _, d := range dialects.Dialects.Config() {
		if d.Options != nil {
			known["options."+d.Name] = reflect.TypeOf(d.Options)
		}
	}
	mark := regexp.MustCompile(`(?s)(<!-- keys of ([a-z0-9_.]+) -->\n).*?(<!-- end of keys -->)`)
	for _, file := range docPages(t) {
		want := mark.ReplaceAllStringFunc(read(t, file), func(part string) string {
			m := mark.FindStringSubmatch(part)
			of := known[m[2]]
			if of == nil {
				t.Errorf("%s: there is no %s, or it has two tables", file, m[2])
				return part
			}
			delete(known, m[2])
			return m[1] + "\n| key | default | meaning |\n|---|---|---|\n" + rows(t, of, "", m[2] != "discover") + "\n" + m[3]
		})
		current(t, file, want)
	}
	delete(known, "discover.metrics") // they are those of scripts
	delete(known, "discover.parameters")
	for name := range known {
		t.Errorf("no page has <!-- keys of %s -->", name)
	}
}

// current holds a generated file against what it should be, or writes it.
func current(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		write(t, file, want, 0o644)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is not what the tags of config's structs say (%v): go test . -run 'TestDocsReference|TestSchema' -update writes it", file, err)
	}
}

// object is one in JSON.
type object = map[string]any

// schemas makes the schema of the configuration, with that of each struct among
// its definitions.
type schemas struct {
	t           testing.TB
	definitions object
}

func schemaOf(t testing.TB) []byte {
	s := schemas{t, object{}}
	root := s.structure(reflect.TypeFor[config.Config]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "scriptbridge.yml"
	root["description"] = "The configuration of scriptbridge, but for included files, which have scripts alone."
	root["$defs"] = s.definitions
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(root); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// structure is the schema of a map that is read into a struct.
func (s schemas) structure(of reflect.Type) object {
	properties := object{}
	var required []string
	for _, one := range settingsOf(of) {
		properties[one.name] = s.setting(one)
		if one.tag.Get("required") != "" {
			required = append(required, one.name)
		}
	}
	schema := object{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
	if of == reflect.TypeFor[config.Script]() || of == reflect.TypeFor[config.Discover]() {
		schema["allOf"] = s.dialects(of)
	}
	if len(required) > 0 {
		schema["type"], schema["required"] = "object", required
	}
	return schema
}

// dialects says what an entry of scripts or discover must have by its dialect.
func (s schemas) dialects(of reflect.Type) (all []object) {
	for i, d := range dialects.Dialects.Config() {
		named := object{"properties": object{"dialect": object{"const": d.Name}}}
		if i > 0 { // an entry that names none is one of the first
			named["required"] = []string{"dialect"}
		}
		properties := object{"options": object{"type": []string{"object", "null"}, "maxProperties": 0}}
		if d.Options != nil {
			name := "options of " + d.Name
			s.definitions[name] = s.structure(reflect.TypeOf(d.Options))
			properties["options"] = object{"$ref": "#/$defs/" + strings.ReplaceAll(name, " ", "%20")}
		}
		must, not := "command", []string{"directory"}
		switch discover := of == reflect.TypeFor[config.Discover](); {
		case d.Folders && discover:
			all = append(all, object{"if": named, "then": false})
			continue
		case d.Folders:
			must, not = "directory", []string{"command"}
			for _, one := range settingsOf(of) {
				if one.tag.Get("process") != "" {
					not = append(not, one.name)
				}
			}
		case d.Modules && discover:
			must, not = "agent_config", []string{"directory"}
		case d.Modules:
			must, not = "options", []string{"command", "directory"}
		case discover:
			must, not = "directory", []string{"agent_config"}
		}
		then := object{"properties": properties}
		if must != "directory" || d.Home == "" {
			then["required"] = []string{must}
		}
		for _, name := range not {
			properties[name] = false
		}
		all = append(all, object{"if": named, "then": then})
	}
	return all
}

// setting is the schema of a value, with what the reference says of it.
func (s schemas) setting(of setting) object {
	schema := s.value(of, of.typ)
	if doc := of.tag.Get("doc"); doc != "" {
		schema["description"] = markdown(strings.ReplaceAll(doc, ": {dialects}", ""))
	}
	if text := of.tag.Get("default"); text != "" {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil || of.typ.Kind() == reflect.String {
			value = text
		}
		schema["default"] = value
	}
	return schema
}

// patterns are those of texts that have a format.
var patterns = map[string]string{
	"address": `:[0-9]+$`, "prefix": `^([a-z_][a-z0-9_]*)?$`, "url path": `^/.*[^/]$`, "name part": `^[A-Za-z0-9._-]*$`, "umask": `^[0-7]+$`,
	"url": `://`, "token url": `://`, "upload name": `^[a-z0-9_-]+$`, "external label": `^[a-zA-Z_][a-zA-Z0-9_]*$`,
	"label": `^[a-zA-Z_][a-zA-Z0-9_]*$`, "parameter": `^[a-zA-Z_][a-zA-Z0-9_]*$`, "variable": `^[^=]+$`,
}

const (
	durationPattern = `^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$`
	bytesPattern    = `^[0-9.]+ ?([KMGTPE]i?)?B$`
)

// least is the least that a number may be, as far as a schema says so.
func (s setting) least() int {
	if s.tag.Get("zero") != "" {
		return 0
	}
	if n, err := strconv.Atoi(s.tag.Get("min")); err == nil {
		return n
	}
	return 1
}

func (s schemas) value(of setting, t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[config.Options]():
		return object{"type": []string{"object", "null"}}
	case t == reflect.TypeFor[config.Raw]():
		return object{}
	case t == reflect.TypeFor[time.Duration]():
		schema := object{"type": "string", "minLength": 2, "pattern": durationPattern}
		if of.tag.Get("zero") != "" {
			return object{"anyOf": []object{schema, {"const": 0}}}
		}
		return schema
	case len(of.words(s.t)) > 0:
		return object{"enum": of.words(s.t)}
	case of.tag.Get("unit") == "bytes":
		return object{"type": []string{"integer", "string"}, "minimum": of.least(), "pattern": bytesPattern}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int:
		return object{"type": "integer", "minimum": of.least()}
	case reflect.String:
		schema := s.text(of)
		if t == reflect.TypeFor[config.Secret]() {
			schema["writeOnly"] = true
		}
		return schema
	case reflect.Interface:
		return object{}
	case reflect.Pointer:
		return s.value(of, t.Elem())
	case reflect.Map:
		schema := object{"type": []string{"object", "null"}, "additionalProperties": s.value(setting{}, t.Elem())}
		if pattern := patterns[of.tag.Get("format")]; pattern != "" {
			schema["propertyNames"] = object{"pattern": pattern}
		}
		return schema
	case reflect.Slice:
		items := s.value(of, t.Elem())
		if t.Elem().Kind() == reflect.String { // or one alone
			return object{"anyOf": []object{items, {"type": "array", "items": items}}}
		}
		return object{"type": []string{"array", "null"}, "items": items}
	}
	if len(settingsOf(t)) == 0 { // a pattern of include
		return object{"type": "string", "minLength": 1}
	}
	s.definitions[t.Name()] = s.structure(t)
	return object{"$ref": "#/$defs/" + t.Name()}
}

// text is the schema of a text: what looks like a number is one too.
func (s schemas) text(of setting) object {
	schema := object{"type": []string{"string", "number", "boolean"}}
	if pattern := patterns[of.tag.Get("format")]; pattern != "" {
		schema["pattern"] = pattern
	} else if of.tag.Get("empty") == "" && of.name != "" && of.typ.Kind() != reflect.Pointer {
		schema["minLength"] = 1
	}
	return schema
}

// compiled is the schema in docs/.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(read(t, schemaFile)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate says what an editor would of a configuration.
func validate(schema *jsonschema.Schema, text string) error {
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return err
	}
	return schema.Validate(document)
}

// TestSchema holds the schema for editors against the tags that it is made of, and
// the configurations of the docs, the examples and the tests against the schema:
// what the program takes has no error in an editor.
func TestSchema(t *testing.T) {
	current(t, schemaFile, string(schemaOf(t)))
	schema := compiled(t)
	n := 0
	check := func(name, text string) {
		n++
		if err := validate(schema, text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	for _, b := range docBlocks(t) {
		var keys map[string]any
		if b.lang != "yaml" || yaml.Unmarshal([]byte(b.text), &keys) != nil {
			continue
		}
		if slices.ContainsFunc([]string{"scripts", "discover", "receive", "upload", "global"}, func(k string) bool { return keys[k] != nil }) {
			check(b.page, b.text)
		}
	}
	for _, pattern := range []string{"examples/*.yml", "config/testdata/good-*.txtar", "testdata/script/*.txtar"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			for name, text := range configurationsIn(t, file) {
				check(file+": "+name, text)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d configurations were found", n)
	}
}

// configurationsIn gives the good configurations in a file, which may be an archive.
func configurationsIn(t *testing.T, file string) map[string]string {
	all := make(map[string]string)
	if filepath.Ext(file) != ".txtar" {
		if text := read(t, file); filepath.Base(file) != "prometheus.yml" {
			all[file] = text
		}
		return all
	}
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if filepath.Ext(f.Name) != ".yml" || !bytes.Contains(f.Data, []byte("scripts:")) && !bytes.Contains(f.Data, []byte("receive:")) {
			continue
		}
		path := filepath.Join(t.TempDir(), "scriptbridge.yml")
		write(t, path, string(f.Data), 0o600)
		if _, err := script.Load(dialects.Dialects, path, false, nil); err == nil {
			all[f.Name] = string(f.Data)
		}
	}
	return all
}

// TestSchemaRefuses: what the program refuses for its form has an error in an
// editor too.
func TestSchemaRefuses(t *testing.T) {
	schema := compiled(t)
	for _, text := range []string{
		"script: []", "scripts: x", "scripts: [{command: a, dialect: perl}]", "scripts: [x]", "scripts: [{comand: a}]", "textfile: {}",
		"global: {interval: 5}", "global: {interval: soon}", "global: {max_concurrent: 0}", "global: {max_concurrent: many}", "global: {labels: {a-b: c}}", "global: {labels: [a]}",
		"scripts: [{command: a, prefix: 9}, {command: b, prefix: A-B}]", "scripts: [{command: a, max_output: much}]", "scripts: [{command: ''}]",
		"scripts: [{command: {a: b}}]", "scripts: [{command: a, probe: 'yes'}]", "scripts: [{command: a, descendants: leave}]", "scripts: [{command: a, metrics: {1: {tipe: gauge}}}]",
		"scripts: [{command: a, metrics: {1: {type: meter}}}]", "scripts: [{command: a, parameters: {p: {default: x}}}]", "scripts: [{command: a, env: {A: {b: c}}}]",
		"scripts: [{command: a, options: {use_faild_output: true}}]", "scripts: [{command: a, dialect: nagios, options: {raw_status: true}}]", "scripts: [{command: a, dialect: scalyr, options: {module: m}}]",
		"scripts: [{dialect: scalyr}]", "scripts: [{name: a}]", "discover: [{dialect: coscale}]", "discover: [{directory: /a, agent_config: b}]", "discover: [{dialect: scalyr, directory: /a}]",
		"scripts: [{command: a, directory: /b}]", "discover: [{directory: /a, name: b}]", "scripts: [{command: a, options: [b]}]", "include: {a: b}",
		"events: {log: {format: xml}}", "receive: {statsd: {udp: 8125}, carbon: {}}", "receive: {statsd: {udp: localhost}}", "receive: {coscale: {}}", "receive: {coscale: }",
		"receive: {collectd: {udp: ':1', security_level: high}}", "receive: {collectd: {http_path: x}}", "upload: {coscale: {app_id: a}}", "upload: {instrumental: {api_key_file: a, insecure: no}}",
		"upload: {instrumental: {api_key_file: a, spool: {max_bytes: lots}}}", "upload: {remote_write: {url: 'https://a'}}", "upload: {remote_write: [{name: a}]}",
		"upload: {remote_write: [{url: a.example.com}]}", "upload: {remote_write: [{url: 'https://a', name: A}]}", "upload: {remote_write: [{url: 'https://a', basic_auth: {username: a, password: b}}]}",
		"upload: {remote_write: [{url: 'https://a', protobuf_message: v2}]}", "upload: {remote_write: [{url: 'https://a', external_labels: {a-b: c}}]}",
		"upload: {remote_write: [{url: 'https://a', write_relabel_configs: [{target_lable: a}]}]}", "upload: {remote_write: [{url: 'https://a', tls_config: {min_version: '1.2'}}]}",
	} {
		path := filepath.Join(t.TempDir(), "scriptbridge.yml")
		write(t, path, text, 0o600)
		if _, err := script.Load(dialects.Dialects, path, false, nil); err == nil {
			t.Errorf("the program takes %s", text)
		}
		if validate(schema, text) == nil {
			t.Errorf("an editor takes %s", text)
		}
	}
}
