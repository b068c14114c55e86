package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/script"
	"scriptbridge/script/dialect/all"
)

// place is one kind of map in a configuration, or in a file that it names.
type place struct {
	name string
	// from is the struct of config whose tags have its keys, or its name again for
	// a dialect's options.
	from string
	keys []placeKey
}

// placeKey is a key with values that are good for it, as YAML writes them in one
// line.
type placeKey struct {
	name string
	good []string
}

func k(name string, good ...string) placeKey { return placeKey{name, good} }

// everyKey is the table of all keys, which TestEveryKeyIsThere holds against the
// code. No value of it reaches beyond the test's folder and loopback; what is
// started does nothing.
var everyKey = []place{
	{"main", "Config", []placeKey{
		k("global", "{}"), k("web", "{}"), k("log", "{}"), k("storage", "x"), k("include", "[conf.d/*.yml]"), k("scripts", "[]"), k("discover", "[]"), k("events", "{}"), k("receive", "{}"),
		k("upload", "{}"), k("textfile", "{directory: folder}"),
	}},
	{"textfile", "Textfile", []placeKey{k("directory", "folder", "nowhere", "ok.sh")}},
	{"global", "Global", []placeKey{
		k("interval", "1s", "1h"), k("timeout", "1ms", "5s"), k("max_concurrent", "1", "99"), k("average_window", "1m"), k("text_labels", "keep", "drop"), k("labels", "{a: b}"), k("trusted_paths", "[/usr/local/bin, x]"), k("log", "{}"),
	}},
	{"script log", "ScriptLog", []placeKey{k("stderr", "debug", "info", "warn", "failed", "none")}},
	{"events", "Events", []placeKey{k("retention", "10m"), k("log", "{}")}},
	{"log", "EventLog", []placeKey{k("path", "events.log", "\"-\""), k("format", "logfmt", "json")}},
	{"settings", "Settings", []placeKey{
		k("enabled", "false", "true"), k("dialect", "coscale", "scalyr", "textfile"), k("interval", "1s", "10m"), k("cron", "'0 3 * * *'", "'@daily'", "TZ=UTC 1 1 1 1 1"), k("timeout", "1ms", "1s"), k("retries", "0", "1", "10"), k("prefix", `""`, "p"), k("labels", "{a: b}"),
		k("env", "{A: b}", "{A: '${env:PATH}'}"), k("env_file", "env", "${env:PATH}"), k("pass_env", "[A, B]", "A"), k("user", "root", "nobody"), k("group", "root", "nogroup"), k("working_directory", ".", "nowhere"), k("max_age", "1s"), k("max_series", "1"), k("max_output", "1", "1MiB"),
		k("average_window", "1s"), k("honor_timestamps", "true"), k("probe", "true"), k("descendants", "keep", "kill"), k("metrics", "{}"), k("options", "{}"), k("log", "{}"),
	}},
	{"script", "Script", []placeKey{
		k("name", "other", "\"a b\""), k("command", "ok.sh", "[/bin/true, a]", "\"/bin/sh -c true\"", "\"env A=b /bin/sh ok.sh {p}\"", "nosuch"),
		k("parameters", "{}"), k("directory", "folder"), k("args", "[a]"),
	}},
	{"discover", "Discover", []placeKey{
		k("directory", "folder", "nowhere", "ok.sh"), k("name", "a"), k("command", "ok.sh"), k("parameters", "{}"), k("agent_config", "agent.json", "odd.json"),
	}},
	{"parameter", "Parameter", []placeKey{k("pattern", "'[a-z]+'", "'-x|y'"), k("default", "a", "-x")}},
	{"metric", "Override", []placeKey{
		k("type", "counter", "gauge", "untyped"), k("name", "n"), k("help", "h"), k("unit", `""`, "s"), k("drop", "true"),
	}},
	{"receive", "Receive", []placeKey{k("coscale", "{}"), k("statsd", "{}"), k("collectd", "{}")}},
	{"receive.coscale", "ReceiveCoScale", []placeKey{
		k("app_id", "x", "a/b"), k("access_tokens_file", "secret", "nosuch"), k("ttl", "1s"), k("listen", "[\"127.0.0.1:$PORT\"]", "[]"), k("tls", "{}"), k("max_series", "1"), k("labels", "{a: b}"),
	}},
	{"tls", "TLS", []placeKey{k("cert_file", "secret", "nosuch"), k("key_file", "secret", "nosuch")}},
	{"receive.statsd", "ReceiveStatsD", []placeKey{
		k("udp", "\"127.0.0.1:$PORT\""), k("tcp", "\":$PORT\""), k("unixgram", "statsd.sock", "nowhere/sock"), k("mapping_config", "mapping.yml", "odd.json"), k("ttl", "1s"),
		k("max_series", "1"), k("labels", "{a: b}"),
	}},
	{"receive.collectd", "ReceiveCollectd", []placeKey{
		k("udp", "\"127.0.0.1:$PORT\""), k("security_level", "none", "sign", "encrypt"), k("auth_file", "secret", "nosuch"), k("types_db", "types.db", "[types.db, odd.json]"),
		k("http_path", "/collectd-post", "/metrics"), k("unixsock", "nosuch.sock"), k("interval", "1s"), k("ttl", "1s"),
		k("max_series", "1"), k("labels", "{a: b}"),
	}},
	{"upload", "Upload", []placeKey{k("coscale", "{}"), k("instrumental", "{}"), k("remote_write", "[]")}},
	{"upload.coscale", "UploadCoScale", []placeKey{
		k("url", "http://127.0.0.1:1", "http://u:p@127.0.0.1:1"), k("app_id", "x"), k("access_token_file", "secret", "nosuch"), k("server", "s"), k("interval", "1s"),
		k("name_suffix", `""`, "x"), k("ca_file", "nosuch", "secret"), k("insecure", "true"), k("spool", "{}"),
	}},
	{"upload.instrumental", "UploadInstrumental", []placeKey{
		k("collector", "127.0.0.1:1", "\":1\""), k("api_key_file", "secret", "nosuch"), k("host", "h"), k("statsd_prefix", `""`, "x."), k("ca_file", "nosuch", "secret"),
		k("insecure", "true"), k("spool", "{}"),
	}},
	{"spool", "Spool", []placeKey{k("max_bytes", "1MiB", "2GiB")}},
	{"options coscale", "options coscale", []placeKey{k("config_timeout", "1s"), k("use_failed_output", "true")}},
	{"options prometheus", "options prometheus", []placeKey{k("use_failed_output", "true")}},
	{"options instrumental", "options instrumental", []placeKey{
		k("permissions", "off", "owner-only", "not-writable-by-others"), k("raw_status", "true"), k("lenient_numbers", "true"),
	}},
	{"options scalyr", "options scalyr", []placeKey{
		k("module", "mon", "a.b", "../x"), k("id", "i"), k("config", "{a: 1}", "'{a: [1'"), k("module_paths", "[folder]"), k("python", "/bin/true"), k("agent_config", "agent.json"),
		k("agent_package", "folder"), k("labels", "[a, \"b:c\"]"), k("drop_fields", "[a]"), k("text_values", "{a: state, b: info}"), k("max_label_length", "1"), k("max_label_values", "1"),
		k("max_families", "1"),
	}},
	{"mapping file", "mappingFile", []placeKey{k("defaults", "{}"), k("mappings", "[]")}},
	{"mapping defaults", "mappingDefaults", []placeKey{k("match_type", "glob", "regex"), k("glob_disable_ordering", "true")}},
	{"mapping common", "mappingSettings", []placeKey{
		k("observer_type", "histogram", "summary"), k("ttl", "1s"), k("summary_options", "{}"), k("histogram_options", "{}"), k("timer_type", "histogram"), k("buckets", "[1]"),
		k("quantiles", "[]"),
	}},
	{"summary options", "summaryOptions", []placeKey{k("quantiles", "[]", "[{quantile: 0.5, error: 0.1}]"), k("max_age", "1s"), k("age_buckets", "5"), k("buf_cap", "5")}},
	{"histogram options", "histogramOptions", []placeKey{k("buckets", "[1, 2]", "[2, 1]"), k("native_histogram_bucket_factor", "1.1"), k("native_histogram_max_buckets", "5")}},
	{"mapping", "mapping", []placeKey{
		k("match", "a.*", "'(.*)'", "a..b", "'('"), k("name", "n", "\"$1\""), k("match_type", "regex"), k("labels", "{aa: \"$1\"}"), k("honor_labels", "true"), k("help", "h"),
		k("action", "drop", "map"), k("match_metric_type", "counter"), k("scale", "0.001", "1e999"),
	}},
	{"quantile", "quantile", []placeKey{k("quantile", "0.5", "99"), k("error", "0.1")}},
	{"confinement", "Confinement", []placeKey{
		k("limits", "{}"), k("nice", "5", "-20", "0"), k("umask", "077", "'002'"), k("no_new_privileges", "true"),
	}},
	{"limits", "Limits", []placeKey{
		k("cpu", "1s", "0", "1h"), k("memory", "64MiB", "0"), k("processes", "1", "99", "0"), k("files", "32", "4", "0"), k("output", "1KiB", "1", "0"),
	}},
	{"upload.remote_write", "UploadRemoteWrite", []placeKey{
		k("name", "a", "b-1"), k("url", "http://127.0.0.1:1/api/v1/write", "http://u:p@127.0.0.1:1", "http://127.0.0.1:1/#x"),
		k("protobuf_message", "prometheus.WriteRequest", "io.prometheus.write.v2.Request"), k("remote_timeout", "1s"), k("interval", "1s", "1h"), k("max_age", "1m", "1h"),
		k("external_labels", "{a: b}", "{__a: b}"), k("write_relabel_configs", "[]", "[{action: labeldrop, regex: a}]"), k("headers", "{X-Scope-OrgID: a}", "{Host: a}"), k("insecure", "true"),
		k("spool", "{}"),
	}},
	{"http client", "HTTPClient", []placeKey{
		k("basic_auth", "{username: u, password_file: secret}"), k("authorization", "{credentials_file: secret}"), k("oauth2", "{}"), k("bearer_token", "x"),
		k("bearer_token_file", "secret", "nosuch", "${env:PATH}"), k("tls_config", "{}"), k("follow_redirects", "true", "false"), k("enable_http2", "true", "false"),
		k("http_headers", "{X-A: {values: [a]}}"),
	}},
	{"proxy", "Proxy", []placeKey{
		k("proxy_url", "http://127.0.0.1:1", "http://u:p@127.0.0.1:1"), k("no_proxy", "127.0.0.0/8"), k("proxy_from_environment", "true"), k("proxy_connect_header", "{X-A: [a, '${env:PATH}']}", "{X-A: b}"),
	}},
	{"basic_auth", "BasicAuth", []placeKey{k("username", "u"), k("username_file", "secret", "nosuch"), k("password", "x"), k("password_file", "secret", "nosuch")}},
	{"authorization", "Authorization", []placeKey{k("type", "Bearer", "basic"), k("credentials", "x"), k("credentials_file", "secret", "nosuch")}},
	{"oauth2", "OAuth2", []placeKey{
		k("client_id", "x"), k("client_secret", "x"), k("client_secret_file", "secret", "nosuch"), k("client_certificate_key_id", "x"), k("client_certificate_key", "x"),
		k("client_certificate_key_file", "secret", "nosuch"), k("grant_type", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"), k("signature_algorithm", "RS256", "ES256"),
		k("iss", "x"), k("audience", "x"), k("claims", "{a: [b, {c: 1}]}"), k("scopes", "[a, b]", "a"), k("token_url", "http://127.0.0.1:1/token"), k("endpoint_params", "{a: b}"), k("tls_config", "{}"),
	}},
	{"tls_config", "TLSClient", []placeKey{
		k("ca", "x"), k("cert", "x"), k("key", "x"), k("ca_file", "nosuch", "secret"), k("cert_file", "secret", "nosuch"), k("key_file", "secret", "nosuch"), k("server_name", "x"),
		k("insecure_skip_verify", "true"), k("min_version", "TLS12", "TLS13"), k("max_version", "TLS10", "TLS13"),
	}},
	{"http header", "HTTPHeader", []placeKey{k("values", "[a, b]", "a"), k("secrets", "[a]"), k("files", "[secret]", "nosuch")}},
	{"relabel", "RelabelRule", []placeKey{
		k("source_labels", "[a, b]", "__name__"), k("separator", `""`, "x"), k("regex", `""`, "'a(.*)'", "'('"), k("modulus", "1", "8"), k("target_label", "a", "'${1}'"), k("replacement", `""`, "'$1'"),
		k("action", "replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase", "Drop"),
	}},
}

// oddValues are values that are good for nearly nothing.
var oddValues = []string{
	"null", "", `""`, "[]", "{}", "[null]", "[[]]", "[{}]", "{a: b}", "{a: {b: {c: [d]}}}", "{'': ''}", "{? [a] : b}", "{1: 2, true: 3}", "true", "~", "-1", "0", "1", "1e400",
	"99999999999999999999", "-99999999999999999999", ".inf", ".nan", "0x10", "!!str 5", "!!binary aGk=", "2001-01-01", "'a: b'", "{script: {}}", `"a\nb"`, `"\0"`, `"\u2028"`, "{{x}}", "'{x}'",
	"&anchor {a: b}", "*anchor", "*nowhere", "&anchor [*anchor]", "{<<: *anchor}", "{<<: [*anchor, {a: c}]}", "{<<: x}",
	"'" + strings.Repeat("x", 5000) + "'", "[" + strings.Repeat("a, ", 300) + "]", "{" + strings.Repeat("k: v, ", 30) + "}", strings.Repeat("[", 120), "'" + strings.Repeat(" -c ", 50) + "'",
}

// dialectNames are those that the program knows.
func dialectNames(t testing.TB) []string {
	t.Helper()
	_, _, err := script.Resolve(all.Dialects, &config.Config{Scripts: []*config.Script{{Name: "a", Command: []string{"a"}, Settings: config.Settings{Dialect: "none such"}}}})
	m := regexp.MustCompile(`\(known: (.*)\)`).FindStringSubmatch(fmt.Sprint(err))
	if m == nil {
		t.Fatalf("no dialects in %v", err)
	}
	return strings.Split(m[1], ", ")
}

// TestEveryKeyIsThere holds the table against the code: every key that a struct of
// config has, and every option that a dialect has.
func TestEveryKeyIsThere(t *testing.T) {
	table := make(map[string][]string)
	for _, p := range everyKey {
		for _, key := range p.keys {
			table[p.from] = append(table[p.from], key.name)
		}
	}
	code := codeKeys(t, "config")
	for _, d := range all.Dialects.Config() {
		if d.Options != nil {
			for _, option := range settingsOf(reflect.TypeOf(d.Options)) {
				code["options "+d.Name] = append(code["options "+d.Name], option.name)
			}
		}
	}
	for _, of := range []map[string][]string{table, code} {
		for from := range of {
			slices.Sort(of[from])
		}
	}
	if diff := cmp.Diff(code, table); diff != "" {
		t.Errorf("the keys of the code (-) and of everyKey (+):\n%s", diff)
	}
	for _, d := range all.Dialects.Config() {
		if options := "options " + d.Name; d.Options != nil && !slices.ContainsFunc(everyKey, func(p place) bool { return p.name == options }) {
			t.Errorf("everyKey has no %q", options)
		}
	}
}

// codeFiles parses the files of a package that are no tests.
func codeFiles(t *testing.T, dir string, see func(ast.Node) bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, see)
	}
}

// codeKeys finds the keys of maps, by struct: what has a yaml tag.
func codeKeys(t *testing.T, dir string) map[string][]string {
	keys := make(map[string][]string)
	codeFiles(t, dir, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				if f.Tag == nil {
					continue
				}
				tag, _ := strconv.Unquote(f.Tag.Value)
				if name := reflect.StructTag(tag).Get("yaml"); name != "" && name != ",inline" {
					keys[spec.Name.Name] = append(keys[spec.Name.Name], name)
				}
			}
		}
		return true
	})
	return keys
}
