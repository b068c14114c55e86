package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// needs skips a test whose program is missing; in CI it fails.
func needs(t *testing.T, program, install string) {
	t.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("SCRIPTBRIDGE_E2E") == "required":
		t.Fatalf("%s is missing: apt-get install %s", program, install)
	default:
		t.Skipf("%s is missing: apt-get install %s", program, install)
	}
}

// apiCommands runs the commands of docs/api.md against a bridge that runs the
// examples.
func apiCommands(examples string) map[string]func(*testing.T, string) {
	bridge := func(t *testing.T) string {
		url := startProgram(t, "--config.file="+filepath.Join(examples, "scriptbridge.yml"), "--web.listen-address=127.0.0.1:0")
		eventually(t, func() error {
			if text := string(httpGet(t, url+"/api/v1/scripts/load")); !strings.Contains(text, `"state":"ok"`) {
				return fmt.Errorf("load has not run: %s", text)
			}
			return nil
		})
		return url
	}
	shell := func(command string, judge func(t *testing.T, shown, got string)) func(*testing.T, string) {
		return func(t *testing.T, shown string) {
			needs(t, "curl", "curl")
			at := strings.TrimPrefix(bridge(t), "http://")
			out, err := exec.Command("sh", "-c", strings.ReplaceAll(command, "localhost:10469", at)).Output()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			judge(t, shown, string(out))
		}
	}
	const state = `curl -s localhost:10469/api/v1/scripts/load | grep -o '"state":"[a-z]*"'`
	const whole = "curl -s --compressed localhost:10469/api/v1/status | python3 -m json.tool"
	return map[string]func(*testing.T, string){
		state: shell(state, func(t *testing.T, shown, got string) {
			if strings.TrimSpace(got) != strings.TrimSpace(shown) {
				t.Errorf("it prints %q, and the page shows %q", got, shown)
			}
		}),
		whole: shell(whole, func(t *testing.T, _, got string) {
			if !strings.Contains(got, `"script_states": {`) {
				t.Errorf("it prints\n%s", got)
			}
		}),
		"scriptbridge status load": func(t *testing.T, shown string) {
			t.Setenv("SCRIPTBRIDGE_URL", bridge(t))
			moment := regexp.MustCompile(`\d+ s ago|in \d+ s|now|[0-9.]+ [mµ]?s| +`)
			got := moment.ReplaceAllString(program(t, ".", "status", "load"), "?")
			if diff := cmp.Diff(moment.ReplaceAllString(shown, "?"), got); diff != "" {
				t.Errorf("the page shows another output: %s", diff)
			}
		},
	}
}
