//go:build !race

package main

// With the race detector the program takes several times the memory.

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// What clients of CoScale's API send is bounded while it comes: sixteen requests at once that
// unpack to far more than they are, or are as large as may be, need little memory.
func TestDataFlood(t *testing.T) {
	point := strings.Repeat("[0,1],", 1_700_000) + "[0,1]"
	one := `[{"m":1,"s":"a","d":[` + point + `]}]`
	histogram := `[{"m":1,"s":"a","d":[[0,[1,1,[` + strings.Repeat("1,", 15_000_000) + `1]]]]}]`
	empty := "[" + strings.Repeat("{},", 3_400_000) + "{}]"
	small := "[" + strings.Repeat(`{"m":1,"s":"a","d":[[0,1]],"dv":{"q":"x"}},`, 700_000) + "{}]"
	for name, body := range map[string]string{
		"points packed":    "pack " + one,
		"points taken":     `pack [{"m":METRIC,"s":"a","d":[` + strings.Repeat("[0,1],", 900_000) + `[0,1]]}]`,
		"entries taken":    `pack [` + strings.Repeat(`{"m":METRIC,"s":"a","d":[[0,1]],"dv":{"q":"x"}},`, 90_000) + `{}]`,
		"points plain":     "data=" + strings.Repeat(" ", 10<<20) + one,
		"points in a text": fmt.Sprintf(`{"data":%q}`, one),
		"a histogram":      "data=" + histogram,
		"empty entries":    "pack " + empty,
		"entries":          "data=" + small,
		"a long text":      `[{"m":1,"s":"` + strings.Repeat("x", 30<<20) + `"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			p, url := serveFiles(t, map[string]string{
				"scriptbridge.yml": "receive: {coscale: {app_id: shop, access_tokens_file: tokens}}\n",
				"tokens":           accessToken + "\n",
			})
			session := logIn(t, url, accessToken)
			body = strings.ReplaceAll(body, "METRIC", makeMetric(t, url, session))
			if data, ok := strings.CutPrefix(body, "pack "); ok {
				body = "cdata=" + neturl.QueryEscape(packed(data))
			}
			var clients sync.WaitGroup
			for range 16 {
				clients.Go(func() {
					r, err := http.NewRequest(http.MethodPost, url+"/api/v1/app/shop/data/", strings.NewReader(body))
					if err != nil {
						panic(err)
					}
					r.Header.Set("HTTPAuthorization", session)
					answer, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					text, _ := io.ReadAll(answer.Body)
					answer.Body.Close()
					switch answer.StatusCode {
					case http.StatusOK, http.StatusRequestEntityTooLarge, http.StatusBadRequest:
						if (answer.StatusCode == http.StatusOK) != strings.HasSuffix(name, " taken") {
							t.Errorf("%s: %s", answer.Status, text)
						}
					case http.StatusServiceUnavailable:
						if answer.Header.Get("Retry-After") == "" {
							t.Error("a 503 without Retry-After")
						}
					default:
						t.Errorf("%s: %s", answer.Status, text)
					}
				})
			}
			clients.Wait()
			if most := peakMemory(t, p); most > 300<<20 {
				t.Errorf("it took %d MiB", most>>20)
			}
		})
	}
}

// makeMetric gives the id of a new one.
func makeMetric(t *testing.T, url, session string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url+"/api/v1/app/shop/metrics/", strings.NewReader("name=Heat&dataType=DOUBLE"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("HTTPAuthorization", session)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var made struct{ ID json.Number }
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil {
		t.Fatal(err)
	}
	return made.ID.String()
}

func packed(text string) string {
	var b strings.Builder
	to := base64.NewEncoder(base64.StdEncoding, &b)
	z := gzip.NewWriter(to)
	if _, err := z.Write([]byte(text)); err != nil {
		panic(err)
	}
	if err := errors.Join(z.Close(), to.Close()); err != nil {
		panic(err)
	}
	return b.String()
}

// peakMemory is the most that a process had in memory, in bytes.
func peakMemory(t *testing.T, p *programRun) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no peak:\n%s", status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
