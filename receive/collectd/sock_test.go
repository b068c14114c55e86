package collectd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
)

// serveUnixsock plays a collectd's unixsock, which answers by the table; what
// is not in it is no such value. An answer of "hang" is none, one of "end" the
// end of the connection.
func serveUnixsock(t *testing.T, answers map[string]string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "sock")
	if runtime.GOOS == "windows" {
		t.Skip("the configuration refuses a unixsock there")
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					answer, ok := answers[lines.Text()]
					switch {
					case !ok:
						answer = "-1 No such value.\n"
					case answer == "hang":
						continue
					case answer == "end":
						return
					}
					if _, err := conn.Write([]byte(answer)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return path
}

func TestPoll(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers map[string]string
		want    string
		wantErr string
	}{
		{"good", map[string]string{
			"LISTVAL":                              "5 Values found\n1700000000.250 h2/foo-a b/if_octets-eth0\n1700000001 h2/df-root/df_complex-a/b-c\n1700000001 h2/p/gone\n1700000001 h2/nan/percent\n1700000001 h2/q\"\\/percent\n",
			`GETVAL "h2/foo-a b/if_octets-eth0"`:   "2 Values found\nrx=1.000000e+02\ntx=2.5\r\n",
			`GETVAL "h2/df-root/df_complex-a/b-c"`: "1 Value found\nvalue=3\n",
			`GETVAL "h2/nan/percent"`:              "1 Value found\nvalue=NaN\n",
			`GETVAL "h2/q\"\\/percent"`:            "1 Value found\nvalue=inf\n",
		}, `for 14s:
gauge collectd_foo_if_octets_rx{instance="h2",foo="a b",type="eth0"} = 100 at 250ms
gauge collectd_foo_if_octets_tx{instance="h2",foo="a b",type="eth0"} = 2.5 at 250ms
gauge collectd_df_df_complex{instance="h2",df="root",type="a/b-c"} = 3 at 1s
gauge collectd_q___percent{instance="h2"} = +Inf at 1s
refused no_value: h2/nan/percent: data source value has no value
`, ""},
		{"bad lines", map[string]string{
			"LISTVAL":         "4 Values found\nx h2/a/b\n1 h2/a\n1 //\n1 h2/p/t\n",
			`GETVAL "h2/p/t"`: "4 Values found\nvalue\n=1\na=b\nb=2\n",
		}, `for 14s:
gauge collectd_p_t_b{instance="h2"} = 2 at -472222h13m19s
refused malformed: LISTVAL: "x h2/a/b" is no line with a time and a name
refused malformed: LISTVAL: "h2/a" is no name of the form host/plugin-instance/type-instance
refused malformed: LISTVAL: it names no host
refused malformed: GETVAL of h2/p/t: "value" is no line with a name and a value
refused malformed: GETVAL of h2/p/t: "=1" is no line with a name and a value
refused malformed: GETVAL of h2/p/t: "b" is no number
`, ""},
		{"no values", map[string]string{"LISTVAL": "0 Values found\n"}, "", ""},
		{"no status", map[string]string{"LISTVAL": "hello\n"}, "", `LISTVAL: "hello" is no status of collectd's`},
		{"an error", nil, "", "LISTVAL: No such value."},
		{"too many", map[string]string{"LISTVAL": "99999999 Values found\n"}, "", "LISTVAL: an answer of 99999999 lines is longer than 1048576"},
		{"too long", map[string]string{"LISTVAL": "1 Value found\n" + strings.Repeat("x", 5000) + "\n"}, "", "a line is longer than 4096 bytes"},
		{"end", map[string]string{"LISTVAL": "end"}, "", "unexpected EOF"},
		{"end amid", map[string]string{"LISTVAL": "2 Values found\n1 h2/a/b\n1 h2/c/d\n", `GETVAL "h2/a/b"`: "1 Value found\nvalue=1\n", `GETVAL "h2/c/d"`: "end"},
			"for 14s:\ngauge collectd_a_b{instance=\"h2\"} = 1 at -472222h13m19s\n", "unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := receiverAt(t, config.ReceiveCollectd{Unixsock: serveUnixsock(t, c.answers), Interval: 7 * time.Second}, record.Tee{})
			err := r.pollOnce(t.Context())
			if got := fmt.Sprint(err); err == nil && c.wantErr != "" || err != nil && got != c.wantErr {
				t.Errorf("error %v, want %q", err, c.wantErr)
			}
			batches, _ := r.merge.drain(time.Now())
			var out strings.Builder
			describe(&out, batches)
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A poll ends with its context, also while collectd is silent.
func TestPollEnds(t *testing.T) {
	r := receiverAt(t, config.ReceiveCollectd{Unixsock: serveUnixsock(t, map[string]string{"LISTVAL": "hang"}), Interval: time.Second}, record.Tee{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := r.pollOnce(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "it did not answer in time: context deadline exceeded" {
		t.Errorf("error %v", err)
	}
}

// Where nobody listens the receiver stays up, says why there is nothing, and
// asks again.
func TestPollAgain(t *testing.T) {
	sink := make(chan error, 100)
	c := receiverAt(t, config.ReceiveCollectd{Unixsock: filepath.Join(t.TempDir(), "none"), Interval: time.Millisecond}, sinkOfErrors(sink))
	ctx, cancel := contextWithCancel(t)
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	for told := 0; told < 2; {
		if err := <-sink; err != nil {
			told++
			if !strings.HasPrefix(err.Error(), "unixsock: dial unix ") {
				t.Errorf("error %v", err)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type sinkOfErrors chan error

func (s sinkOfErrors) Put(b *record.Batch) error {
	s <- b.Err
	return nil
}

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// FuzzLine reads every line that a unixsock answers with.
func FuzzLine(f *testing.F) {
	for _, line := range []string{"2 Values found", "-1 No such value.", "1182204284.123 myhost/cpu-0/cpu-idle", "1 h/p/t-a/b-c", "rx=1.26e+00", "a=b=NaN", "value=1e999", ""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		_, _, _ = parseStatus(line)
		if name, _, err := parseValue(line); err == nil && (name == "" || !strings.HasPrefix(line, name+"=")) {
			t.Errorf("name %q", name)
		}
		listed, err := parseListed(line)
		if err != nil {
			return
		}
		// What is asked for is what was listed.
		_, name, _ := strings.Cut(line, " ")
		if again, err := parseListed("1 " + listed.String()); err != nil || again.identifier != listed.identifier {
			t.Errorf("%q is asked for as %q, which is %+v (%v)", name, &listed.identifier, again, err)
		}
		if quoted := quote(listed.String()); strings.ContainsAny(quoted, "\n") && !strings.Contains(line, "\n") {
			t.Errorf("%q breaks the line", quoted)
		}
	})
}
