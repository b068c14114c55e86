package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"scriptbridge/internal/testkit"
)

// nasty is a text that clears a terminal, changes its title and colour, and turns
// the reading direction.
const nasty = "N\x1b[2J\x1b]0;t\x07\r\x7f\u0085\u009b31m\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2028\u2029\u2069Y"

// tame fails a test where a text has something that a terminal would obey.
func tame(t *testing.T, what, text string) {
	t.Helper()
	for i, r := range text {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			t.Errorf("%s: %U in %q", what, r, text[max(0, i-60):min(len(text), i+20)])
			return
		}
	}
}

// tamed is tame, for a text in which something is left of nasty.
func tamed(t *testing.T, what, text string) {
	t.Helper()
	tame(t, what, text)
	if !strings.Contains(text, "2J") {
		t.Errorf("%s shows nothing of the text:\n%s", what, text)
	}
}

// writeNasty writes files, in which NASTY stands for nasty, QUOTED for it as JSON
// and YAML have it in double quotes, and ESCAPED for what is between those.
func writeNasty(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	quoted, err := json.Marshal(nasty)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		text = strings.NewReplacer("NASTY", nasty, "QUOTED", string(quoted), "ESCAPED", string(quoted[1:len(quoted)-1])).Replace(text)
		if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

const nastyCoscale = `#!/bin/sh
if [ "$1" = -c ]; then cat <<'EOF'
{"metrics": [{"id": 1, "name": "VESCAPED", "description": "ESCAPED", "unit": "ESCAPED", "dimensions": [{"id": 1, "name": "kESCAPED"}]}], "events": [{"id": 1, "name": "EESCAPED", "attributes": [{"name": "aESCAPED"}]}]}
EOF
else cat <<'EOF'
M1 "1:NASTY" 1
M1 NASTY
NASTY
E1 1700000000 1700000000 "NASTY" "{}" S
EOF
echo 'NASTY' >&2
fi
`

const nastyNagios = "#!/bin/sh\necho 'WARNING: NASTY | vNASTY=1NASTY'; echo 'NASTY' >&2; exit 1\n"

const nastyPrometheus = "#!/bin/sh\nprintf '# HELP up NASTY\\nm{k=\"NASTY\"} 1\\nNASTY\\nm{NASTY} 1\\n'\n"

// No command prints what a terminal would obey, whoever it is from: a script, its
// configuration, a server, a file.
func TestCommandsPrintNothingNasty(t *testing.T) {
	folder := writeNasty(t, map[string]string{
		"coscale": nastyCoscale, "nagios": nastyNagios, "prometheus": nastyPrometheus,
		"bad":      "#!/bin/sh\necho '{NASTY'; echo 'NASTY' >&2; exit 3\n",
		"good.yml": "scripts:\n  - {name: a, command: ./nagios, dialect: nagios}\n",
		"bad.yml":  "scripts:\n  - {name: a, command: \"/ESCAPED\", QUOTED: 1, dialect: QUOTED}\nNASTY: x\n",
		"world.yml": "scripts:\n  - {name: QUOTED, command: [\"./ESCAPED\"]}\nglobal: {labels: {l: QUOTED}}\n" +
			"receive: {coscale: {app_id: x, access_tokens_file: QUOTED}}\n",
		"store/uploads/coscale.refused": `{"time":"2026-11-26T10:00:00Z","error":QUOTED,"data":{}}` + "\n",
		"host/etc/nagios/nrpe.cfg":      "command[aNASTY]=/usr/lib/nagios/plugins/check_x -s NASTY\ncommand[b]=NASTY\n",
		"token":                         "a-secret-token-of-length\n",
	})
	t.Chdir(folder)
	if err := os.Chmod("token", 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login/") {
			fmt.Fprint(w, `{"token": "session"}`)
			return
		}
		if strings.Contains(r.URL.Path, "foreign") {
			fmt.Fprint(w, nasty)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		text, _ := json.Marshal(map[string]string{"msg": nasty, "type": nasty})
		_, _ = w.Write(text)
	}))
	defer server.Close()
	api := []string{"--api.url=" + server.URL, "--api.app-id=a", "--api.token-file=token"}
	foreign := []string{"--api.url=" + server.URL + "/foreign", "--api.app-id=a", "--api.token-file=token"}
	for name, args := range map[string][]string{
		"try coscale":         {"try", "--dialect=coscale", "--", "./coscale"},
		"try nagios":          {"try", "--dialect=nagios", "--", "./nagios"},
		"try prometheus":      {"try", "--dialect=prometheus", "--", "./prometheus"},
		"try what fails":      {"try", "--dialect=coscale", "--", "./bad"},
		"try guesses":         {"try", "--", "./bad"},
		"try what is missing": {"try", "--dialect=nagios", "--", "./" + nasty},
		"try a file":          {"try", "--config.file=good.yml"},
		"try no such script":  {"try", "--config.file=good.yml", nasty},
		"try a parameter":     {"try", "--config.file=good.yml", "--parameter=" + nasty + "=" + nasty},
		"check errors":        {"check", "bad.yml"},
		"check the world":     {"check", "world.yml"},
		"check no file":       {"check", nasty},
		"check no web file":   {"check", "--web.config.file=" + nasty, "good.yml"},
		"check no storage":    {"check", "--storage.path=token/" + nasty, "good.yml"},
		"a flag":              {"check", "--" + nasty},
		"a flag's value":      {"--log.level=" + nasty},
		"a command":           {nasty},
		"push":                append([]string{"push", "--data=Users:A:0:7"}, api...),
		"push, foreign":       append([]string{"push", "--data=Users:A:0:7"}, foreign...),
		"push points":         append([]string{"push", "--data=" + nasty + ";Users" + nasty + ":A:0:x" + nasty}, api...),
		"wrap":                append(append([]string{"wrap", "--category=c", "--message=m"}, api...), "--", "true"),
		"wrap, foreign":       append(append([]string{"wrap", "--category=c", "--message=m"}, foreign...), "--", "true"),
		"wrap, missing":       append(append([]string{"wrap", "--category=c", "--message=m"}, api...), "--", "./"+nasty),
		"uploads refused":     {"uploads", "--storage.path=store", "refused"},
		"uploads retry":       {"uploads", "--storage.path=store", "retry", "--config.file=good.yml", nasty},
		"init":                {"init", "--root=host", "--from=nrpe=/etc/nagios/nrpe.cfg", "--output=-"},
		"init to a file":      {"init", "--root=host", "--from=nrpe=/etc/nagios/nrpe.cfg", "--output=" + nasty},
		"init from no file":   {"init", "--root=host", "--from=nrpe=" + nasty, "--output=x"},
		"serve":               {"serve", "--config.file=world.yml"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := exitCode(run(t.Context(), args, &stdout, &stderr), &stderr); code == 0 && name == "serve" {
				t.Error("it ended well")
			}
			tamed(t, name, stdout.String()+stderr.String())
		})
	}
	t.Run("a wrapped command prints as it does by itself", func(t *testing.T) {
		var stdout bytes.Buffer
		args := append(append([]string{"wrap", "--category=c", "--message=m"}, api...), "--", "printf", "%s", nasty)
		if err := run(t.Context(), args, &stdout, io.Discard); err != nil || stdout.String() != nasty {
			t.Errorf("%v: %q", err, stdout.String())
		}
	})
}

// Neither do the logs of a bridge at work, nor what it answers in plain text.
func TestServeLogsNothingNasty(t *testing.T) {
	for _, format := range []string{"logfmt", "json"} {
		t.Run(format, func(t *testing.T) {
			folder := writeNasty(t, map[string]string{
				"coscale": nastyCoscale, "nagios": nastyNagios,
				"c.yml": "scripts:\n  - {name: c, command: ./coscale, labels: {l: QUOTED}}\n" +
					"  - {name: n, command: [./nagios, \"{p}\"], dialect: nagios, probe: true, parameters: {p: {pattern: a}}}\n" +
					"receive: {collectd: {http_path: /collectd-post}}\nevents: {log: {path: events, format: " + format + "}}\n",
			})
			t.Chdir(folder)
			ctx, cancel := context.WithCancel(t.Context())
			var said testkit.Buffer
			done := make(chan error, 1)
			go func() {
				done <- run(ctx, []string{"--config.file=c.yml", "--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle", "--config.auto-reload-interval=0", "--log.format=" + format}, io.Discard, &said)
			}()
			wait := func(want string) {
				t.Helper()
				eventually(t, func() error {
					select {
					case err := <-done:
						t.Fatalf("it ended: %v\n%s", err, said.String())
					default:
					}
					if !strings.Contains(said.String(), want) {
						return fmt.Errorf("no %s in\n%s", want, said.String())
					}
					return nil
				})
			}
			wait("the configuration is in force")
			_, url, ok := strings.Cut(said.String(), `msg="Listening on" address=`)
			if !ok {
				_, url, _ = strings.Cut(said.String(), `"address":"`)
			}
			url = "http://" + url[:strings.IndexAny(url, "\" \n")]
			wait("a line was refused")
			wait("stderr")
			post := func(path, body string) string {
				t.Helper()
				resp, err := http.Post(url+path, "application/json", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			tame(t, "an answer of collectd", post("/collectd-post", "["+nasty))
			text, _ := json.Marshal([]map[string]any{{"host": nasty, "plugin": nasty, "type": nasty, "values": []any{nasty}, "time": nasty}})
			post("/collectd-post", string(text))
			wait("not all that came can be used")
			if err := os.WriteFile("c.yml", fmt.Appendf(nil, "scripts: [{name: %q}]\n", nasty), 0o600); err != nil {
				t.Fatal(err)
			}
			tamed(t, "the answer to a reload", post("/-/reload", ""))
			tame(t, "the answer to a probe", string(httpGet(t, url+"/probe?script=n&p=%1b%5b2J%e2%80%ae")))
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			tamed(t, "the log", said.String())
			tamed(t, "the event log", read(t, "events"))
		})
	}
}
