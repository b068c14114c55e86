package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	"github.com/prometheus/prometheus/model/labels"
)

// destinationServer takes remote write 2.0, and keeps what is written.
type destinationServer struct {
	down atomic.Bool
	mu   sync.Mutex
	all  map[string]string // value and time of each sample, by its series
}

// startDestination starts one, and gives a configuration that writes to it.
func startDestination(t *testing.T) (s *destinationServer, configFile string) {
	s = &destinationServer{all: make(map[string]string)}
	handler := remote.NewWriteHandler(s, remote.MessageTypes{remote.WriteV2MessageType})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			http.Error(w, "maintenance", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	configFile = filepath.Join(t.TempDir(), "scriptbridge.yml")
	write(t, configFile, fmt.Sprintf(`
global: {labels: {site: home}}
upload:
  remote_write:
    - {url: "%[1]s", external_labels: {instance: laptop-17}}
    - {name: other, url: "%[1]s", external_labels: {instance: another}}
`, server.URL), 0o600)
	return s, configFile
}

// Store is as the library's handler wants it.
func (s *destinationServer) Store(r *http.Request, _ remote.WriteMessageType) (*remote.WriteResponse, error) {
	answer := remote.NewWriteResponse()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return answer, err
	}
	var request writev2.Request
	if err := request.UnmarshalVT(body); err != nil {
		return answer, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	builder := labels.NewScratchBuilder(0)
	for _, series := range request.Timeseries {
		builder.Reset()
		name := ""
		for i := 0; i < len(series.LabelsRefs); i += 2 {
			key, value := request.Symbols[series.LabelsRefs[i]], request.Symbols[series.LabelsRefs[i+1]]
			if key == "__name__" {
				name = value
			} else {
				builder.Add(key, value)
			}
		}
		for _, sample := range series.Samples {
			if sample.Value < 0 {
				answer.SetStatusCode(http.StatusBadRequest)
				return answer, fmt.Errorf("%s: no debts", name)
			}
			answer.Add(remote.WriteResponseStats{Samples: 1})
			s.all[name+builder.Labels().String()] += fmt.Sprintf("%v@%d ", sample.Value, sample.Timestamp)
		}
	}
	return answer, nil
}

// has gives all that arrived, in the order of the names, without what differs between
// runs.
func (s *destinationServer) has() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for series, samples := range s.all {
		samples = regexp.MustCompile(`@17\d{11}`).ReplaceAllString(samples, "@now")
		if strings.Contains(series, "_seconds{") {
			samples = regexp.MustCompile(`[\d.e+-]+@now`).ReplaceAllString(samples, "?@now")
		}
		series = regexp.MustCompile(`EV-[0-9a-f]+`).ReplaceAllString(series, "EV")
		lines = append(lines, series+" "+strings.TrimSpace(samples)+"\n")
	}
	clear(s.all)
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// call runs the program, and gives its exit code and what it prints.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = exitCode(run(t.Context(), args, &out, &errs), &errs)
	return code, out.String(), errs.String()
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// TestPushByRemoteWrite: each point arrives with its time and as a bridge's page would have
// it; what is refused is told, and nothing is left behind.
func TestPushByRemoteWrite(t *testing.T) {
	s, file := startDestination(t)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	push := func(args ...string) (int, string, string) {
		return call(t, append([]string{"--config.file=" + file, "push"}, args...)...)
	}
	code, _, stderr := push("--upload=remote_write", "--unit=C", `--data=Disk temperature:web-01:1600000060:26:{"Disk":"sda"};Disk temperature:web-01:1600000000:25:{"Disk":"sda"};Users:A:0:7;Sizes:web-01:0:[10,50,[1,2]]`)
	if code != 0 || stderr != "" {
		t.Errorf("%d: %s", code, stderr)
	}
	wantText(t, "points", s.has(), `coscale_disk_temperature_celsius{disk="sda", instance="laptop-17", server="web-01", site="home", subject="server"} 25@1600000000000 26@1600000060000
coscale_sizes_celsius_count{instance="laptop-17", server="web-01", site="home", subject="server"} 10@now
coscale_sizes_celsius{instance="laptop-17", quantile="0", server="web-01", site="home", subject="server"} 1@now
coscale_sizes_celsius{instance="laptop-17", quantile="0.5", server="web-01", site="home", subject="server"} 2@now
coscale_users_celsius{instance="laptop-17", site="home", subject="application"} 7@now
`)
	for _, c := range []struct {
		name, upload, want, has string
		args                    []string
	}{
		{"refused there", "remote_write", "scriptbridge: push: 1 sample not sent: the destination answers HTTP status 400 Bad Request: coscale_balance: no debts\n",
			"coscale_orders{instance=\"laptop-17\", server=\"web-01\", site=\"home\", subject=\"server\"} 3@now\n", []string{"--data=Balance:web-01:0:-5;Orders:web-01:0:3"}},
		{"an id", "remote_write", "scriptbridge: push: M1:web-01:0:5: metric 1: GET /api/v1/app/scriptbridge/metrics/1/: 404 Not Found: There is no metric 1.\nscriptbridge: push: 1 sent, 1 left out\n",
			"coscale_orders{instance=\"laptop-17\", server=\"web-01\", site=\"home\", subject=\"server\"} 3@now\n", []string{"--data=M1:web-01:0:5;Orders:web-01:0:3"}},
		{"a sum", "remote_write", "scriptbridge: push: a COUNT is added up by a bridge that goes on; with --upload give --data-type=COUNTER, and the sum as the value\n",
			"", []string{"--data=Orders:web-01:0:3", "--data-type=COUNT"}},
		{"no such destination", "coscale", "scriptbridge: push: " + file + " has no destination \"coscale\" of remote write; it has remote_write, remote_write_other\n",
			"", []string{"--data=Orders:web-01:0:3"}},
		{"two metrics of one name", "remote_write", "scriptbridge: push: 1 sample not sent: y-total: the metric ID (\"y total\") takes the name coscale_y_total already; give one of them another name where it is sent\n",
			"coscale_y_total{instance=\"laptop-17\", site=\"home\", subject=\"application\"} 3@now\n", []string{"--data=y total:A:0:3;y-total:A:0:4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := push(append([]string{"--upload=" + c.upload}, c.args...)...)
			if code != 1 {
				t.Errorf("it ends with %d", code)
			}
			wantText(t, "standard error", regexp.MustCompile(`metric \d{13}`).ReplaceAllString(stderr, "metric ID"), c.want)
			wantText(t, "what arrived", s.has(), c.has)
		})
	}
	if left, err := filepath.Glob(temporary + "/*"); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %q, %v", left, err)
	}
}

// TestPushWaits: what cannot be sent is an error, or waits for the next call with its time.
func TestPushWaits(t *testing.T) {
	s, file := startDestination(t)
	s.down.Store(true)
	at := func(args ...string) []string {
		return append([]string{"--config.file=" + file, "push", "--upload=remote_write"}, args...)
	}
	code, _, stderr := call(t, at("--data=Orders:A:0:3", "--upload.timeout=100ms")...)
	if want := "scriptbridge: push: 1 sample not sent: the destination answers HTTP status 503 Service Unavailable: maintenance\n"; code != 1 || stderr != want {
		t.Errorf("%d: %s", code, stderr)
	}
	store := filepath.Join(t.TempDir(), "store")
	code, _, stderr = call(t, at("--data=Orders:A:1600000000:3", "--storage.path="+store)...)
	if want := "scriptbridge: push: not sent yet, and kept in " + store + " for the next call (1 sample): the destination answers HTTP status 503 Service Unavailable: maintenance\n"; code != 0 || stderr != want {
		t.Errorf("%d: %s", code, stderr)
	}
	s.down.Store(false)
	if code, _, stderr = call(t, at("--data=Orders:A:1600000060:4", "--storage.path="+store)...); code != 0 || stderr != "" {
		t.Errorf("%d: %s", code, stderr)
	}
	wantText(t, "what arrived", s.has(), "coscale_orders{instance=\"laptop-17\", site=\"home\", subject=\"application\"} 3@1600000000000 4@1600000060000\n")
}

// TestPushTogether: calls that have the same folder wait for one another, and a bridge's own is
// not for them.
func TestPushTogether(t *testing.T) {
	s, file := startDestination(t)
	store := filepath.Join(t.TempDir(), "store")
	var calls sync.WaitGroup
	for i := range 6 {
		calls.Go(func() {
			code, _, stderr := call(t, "--config.file="+file, "push", "--upload=remote_write", "--storage.path="+store, fmt.Sprintf("--data=Orders:S:%d:%d", 1600000000+i, i))
			if code != 0 || stderr != "" {
				t.Errorf("%d: %s", code, stderr)
			}
		})
	}
	calls.Wait()
	if got := s.has(); strings.Count(got, "@") != 6 {
		t.Errorf("not all arrived:\n%s", got)
	}
	write(t, filepath.Join(filepath.Dir(file), "bridge.yml"), "scripts: [{command: /bin/true, dialect: nagios}]\n", 0o600)
	startProgram(t, "--config.file="+filepath.Join(filepath.Dir(file), "bridge.yml"), "--web.listen-address=127.0.0.1:0", "--storage.path="+store)
	code, _, stderr := call(t, "--config.file="+file, "push", "--upload=remote_write", "--storage.path="+store, "--upload.timeout=1ms", "--data=Orders:A:0:3")
	if code != 1 || !regexp.MustCompile(`^scriptbridge: push: .*another scriptbridge \(pid \d+\) uses it: stop that one, or give this one another --storage.path\n$`).MatchString(stderr) {
		t.Errorf("%d: %s", code, stderr)
	}
}

// TestWrapByRemoteWrite: the run is told as on a bridge's page, and the exit code is the
// command's, whether or not anybody can be told.
func TestWrapByRemoteWrite(t *testing.T) {
	s, file := startDestination(t)
	wrap := func(args ...string) (int, string, string) {
		return call(t, append([]string{"--config.file=" + file, "wrap", "--upload=remote_write_other", "--category=Backups", "--message=nightly", "--server=web-1"}, args...)...)
	}
	code, stdout, stderr := wrap("--", "sh", "-c", "echo saved; exit 3")
	if code != 3 || stdout != "saved\n" || stderr != "" {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
	wantText(t, "the run", s.has(), `coscale_command_duration_seconds{category="Backups", instance="another", message="nightly", server="web-1", site="home", subject="server"} ?@now
coscale_command_exit_code{category="Backups", instance="another", message="nightly", server="web-1", site="home", subject="server"} 3@now
coscale_event_end_timestamp_seconds{event="Backups", event_id="EV", instance="another", receiver="coscale", site="home"} ?@now
coscale_event_info{event="Backups", event_id="EV", executiontime="0", exitcode="3", instance="another", message="nightly", receiver="coscale", server="web-1", site="home", subject="server"} 1@now
coscale_event_start_timestamp_seconds{event="Backups", event_id="EV", instance="another", receiver="coscale", site="home"} ?@now
`)
	s.down.Store(true)
	code, stdout, stderr = wrap("--upload.timeout=100ms", "--", "sh", "-c", "echo saved; exit 4")
	if want := "scriptbridge: wrap: the run is not reported: 5 samples not sent: the destination answers HTTP status 503 Service Unavailable: maintenance\n"; code != 4 || stdout != "saved\n" || stderr != want {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
	code, _, stderr = call(t, "--config.file=nosuch.yml", "wrap", "--upload=remote_write", "--category=Backups", "--message=nightly", "--", "sh", "-c", "exit 5")
	if code != 5 || !strings.HasPrefix(stderr, "scriptbridge: wrap: the run is not reported: nosuch.yml: there is no such file") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%d: %s", code, stderr)
	}
}

// TestPushLikeABridge: what push and wrap write has the names and labels of the page of a bridge
// which they report to.
func TestPushLikeABridge(t *testing.T) {
	s, file := startDestination(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "token"), "open-sesame-open-sesame\n", 0o600)
	write(t, filepath.Join(dir, "bridge.yml"), "global: {labels: {site: home}}\nreceive: {coscale: {app_id: shop, access_tokens_file: token}}\n", 0o600)
	url := startProgram(t, "--config.file="+filepath.Join(dir, "bridge.yml"), "--web.listen-address=127.0.0.1:0")
	t.Setenv("SCRIPTBRIDGE_API_URL", url)
	t.Setenv("SCRIPTBRIDGE_API_APP_ID", "shop")
	t.Setenv("SCRIPTBRIDGE_API_TOKEN_FILE", filepath.Join(dir, "token"))
	eventually(t, func() error {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			conn.Close()
		}
		if page := string(httpGet(t, url+"/metrics")); err == nil && !strings.Contains(page, `scriptbridge_receiver_up{receiver="coscale"} 1`) {
			return fmt.Errorf("the receiver is not up")
		}
		return err
	})
	for _, args := range [][]string{
		{"push", "--unit=MB/s", `--data=Traffic in/out:web-01:0:12.5:{"Interface name":"eth0","Dir":"in"};Users "all":A:0:7;S-1:"S1":0:1;Größe:web-01:0:[10,50,[1,2]]`},
		{"push", "--data-type=COUNTER", "--data=Orders placed:web-01:0:3"},
		{"wrap", "--category=Back ups", `--message=night "1"`, "--server=web-1", "--", "true"},
	} {
		for _, more := range [][]string{{}, {"--config.file=" + file, args[0], "--upload=remote_write"}} {
			if len(more) > 0 {
				more = append(more, args[1:]...)
			} else {
				more = args
			}
			if code, _, stderr := call(t, more...); code != 0 || stderr != "" {
				t.Fatalf("%q: %d: %s", more, code, stderr)
			}
		}
	}
	named := func(text string) (names []string) {
		for line := range strings.Lines(text) {
			if m := regexp.MustCompile(`^(coscale_\w+)\{(.*)\} `).FindStringSubmatch(line); m != nil && m[1] != "coscale_events_total" {
				parts := regexp.MustCompile(`\w+="(?:[^"\\]|\\.)*"`).FindAllString(m[2], -1)
				slices.Sort(parts)
				parts = slices.DeleteFunc(parts, func(part string) bool { return part == `instance="laptop-17"` || strings.HasPrefix(part, "event_id=") })
				names = append(names, strings.ReplaceAll(m[1]+" "+strings.Join(parts, " "), `quantile="0.0"`, `quantile="0"`))
			}
		}
		slices.Sort(names)
		return names
	}
	page := named(string(httpGet(t, url+"/metrics")))
	if diff := cmp.Diff(page, named(s.has())); diff != "" || len(page) < 8 {
		t.Errorf("the page has %d series; written are others: %s", len(page), diff)
	}
}
