//go:build unix

package receive

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"scriptbridge/receive/receivertest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// shortOf has the test below be the process that is short of descriptors: the
// kind of the receiver that it runs.
const shortOf = "RECEIVE_SHORT_OF_DESCRIPTORS"

// A process that has no file descriptors left takes what needs none, and the
// rest as soon as it has some again. No receiver goes down for it.
func TestNoDescriptors(t *testing.T) {
	if kind := os.Getenv(shortOf); kind != "" {
		runWithoutDescriptors(t, contracts[kind])
		return
	}
	for _, typ := range types {
		t.Run(typ.Name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestNoDescriptors$", "-test.v")
			cmd.Env = append(os.Environ(), shortOf+"="+typ.Name)
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			var addresses receivertest.Addresses
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				said.WriteString(lines.Text() + "\n")
				if at, ok := strings.CutPrefix(lines.Text(), "listens on "); ok {
					addresses = append(addresses, at)
				} else if lines.Text() == "is full" {
					break
				}
			}
			c := contracts[typ.Name]
			c.Send(t, addresses, c.Good...)
			for lines.Scan() {
				said.WriteString(lines.Text() + "\n")
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, &said)
			}
		})
	}
}

func runWithoutDescriptors(t *testing.T, c contract) {
	r := start(t, c)
	view := r.set.Views()[0]
	fill := takeDescriptors(t)
	for _, a := range view.Addresses {
		fmt.Println("listens on " + a)
	}
	fmt.Println("is full")
	connects := func(a string) bool { return strings.HasPrefix(a, "tcp ") || strings.HasPrefix(a, "http ") }
	if slices.ContainsFunc(view.Addresses, connects) {
		r.poll(t, "a connection that cannot be taken", func() bool {
			failed := r.set.Views()[0].Counts.Failed
			return slices.ContainsFunc(slices.Collect(maps.Values(failed)), func(n uint64) bool { return n > 2 })
		})
	}
	if !slices.ContainsFunc(view.Addresses, func(a string) bool { return !connects(a) }) {
		if state := r.sink.State(); len(state) > 0 {
			t.Errorf("there was a descriptor left: %v", state)
		}
	} else {
		r.poll(t, "what needs no connection", func() bool { return len(r.sink.State()) > 0 })
	}
	for _, f := range fill {
		f.Close()
	}
	r.poll(t, "all the rest", func() bool { return cmp.Equal(c.Want, r.sink.State()) })
	if v := r.set.Views()[0]; !v.Up {
		t.Errorf("view: %+v", v)
	}
	told := strings.Count(r.log.String(), "the system keeps the listener from taking what comes")
	if strings.Contains(r.log.String(), "receiver is down") || told > 1 || slices.ContainsFunc(view.Addresses, connects) && told == 0 {
		t.Errorf("log:\n%s", r.log)
	}
}

// takeDescriptors takes all that there are.
func takeDescriptors(t *testing.T) (files []*os.File) {
	t.Helper()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 100, Max: 100}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return files
		}
		files = append(files, f)
	}
}
