package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCoScaleCLI: the vendor's own command line tool works with the bridge as
// it did with the service. It is built from its sources (CoScale/coscale-cli,
// src/coscale, with a go.mod of `module coscale`) and named by COSCALE_CLI; it
// is in no package, so without the variable the test is skipped, in CI too.
func TestCoScaleCLI(t *testing.T) {
	cli := os.Getenv("COSCALE_CLI")
	if cli == "" {
		t.Skip("COSCALE_CLI does not name a coscale-cli")
	}
	dir := t.TempDir()
	token := write(t, dir, "token", "open-sesame-open-sesame\n")
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "bridge.yml", `receive: {coscale: {app_id: shop, access_tokens_file: token}}`)
	b := startBridge(t, dir, "bridge.yml", "--storage.path="+dir+"/state")
	for _, step := range []struct{ args, want string }{
		{`server new --name web-01 --description front`, `"id":1,`},
		{`server new --name web-01 --description front`, `"id":1,`}, // a 409, and the object that is there
		{`server get --name web-01`, `[{"id":1,`},
		{`metric new --name Temperature --dataType DOUBLE --period 60 --unit C --subject SERVER`, `"dataType":"DOUBLE"`},
		{`metric new --name Latency --dataType HISTOGRAM --period 60 --unit ms --subject SERVER`, `"id":2,`},
		{`metric get --name Temperature`, `[{"id":1,`},
		{`metricgroup new --name web --type x --subject SERVER`, `"id":1,`},
		{`metricgroup addMetric --idMetric 1 --idGroup 1`, `[{"id":1,`},
		{`servergroup new --name outer`, `"id":1,`},
		{`servergroup new --name inner --parentId 1`, `"parentId":1`},
		{`servergroup get --path outer/inner`, `[{"id":2,`},
		{`servergroup addServer --idServer 1 --idGroup 2`, `[{"id":1,`},
		{`data insert --data M1:S1:-60:49.9;M1:S1:0:50.4`, `"2 points stored"`},
		{`data insert --data M1:S1:0:51:{"Queue":"q1"}`, `"1 point stored"`},
		{`data insert --data M2:S1:-60:[100,50,[1,2,3]]`, `"1 point stored"`},
		{`data get --id 1 --subjectIds s1 --start -300 --stop 0`, `"values":[[`},
		{`event new --name Backups --attributeDescriptions [{"name":"exitCode","type":"integer"}]`, `"name":"Backups"`},
		{`event newdata --name Backups --message nightly --subject a --attribute {"exitCode":-1}`, `"stopTime":null`},
		{`event listdata --name Backups`, `[{"gid":"`},
		{`event updatedata --name Backups --dataid 1 --stopTime 0 --attribute {"exitCode":0}`, `"version":2`},
		{`alert list`, `[]`},
	} {
		args := append(strings.Fields(step.args), "--api-url", "http://"+b.address, "--app-id", "shop", "--access-token", "open-sesame-open-sesame", "--rawOutput")
		out, err := exec.Command(cli, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), step.want) {
			t.Errorf("%s: %v\n%s", step.args, err, out)
		}
	}
	page := b.page(t)
	for _, want := range []string{
		`coscale_temperature_celsius{server="web-01",subject="server"} 50.4`,
		`coscale_temperature_celsius{queue="q1",server="web-01",subject="server"} 51`,
		`coscale_latency_milliseconds{quantile="0.5",server="web-01",subject="server"} 2`,
		`coscale_latency_milliseconds_count{server="web-01",subject="server"} 100`,
		`scriptbridge_metric_info{receiver="coscale",metric="coscale_temperature_celsius",name="Temperature",unit="C",groups="web",datatype="DOUBLE",calctype="Instant"} 1`,
		`coscale_events_total{receiver="coscale",event="Backups"} 1`,
	} {
		if !strings.Contains(page, "\n"+want+"\n") {
			t.Errorf("%s is not on the page:\n%s", want, ofCoScale(page))
		}
	}
	if out, err := exec.Command(cli, "server", "list", "--api-url", "http://"+b.address, "--app-id", "shop", "--access-token", "wrong").CombinedOutput(); err == nil || !strings.Contains(string(out), "Authentication failed!") {
		t.Error(fmt.Sprint("with a wrong token: ", err, "\n", string(out)))
	}
}
