package receive

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/internal/testkit"
	"scriptbridge/receive/receivertest"
)

func TestEveryTypeHasAContract(t *testing.T) {
	var names []string
	for _, typ := range types {
		names = append(names, typ.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(contracts)), cmpEmpty); diff != "" {
		t.Errorf("types and contracts (-types +contracts):\n%s", diff)
	}
}

// cmpEmpty makes no difference between no names and none.
var cmpEmpty = cmp.Transformer("nil", func(s []string) string { return strings.Join(s, "\n") })

// running is one receiver at work over real sockets.
type running struct {
	set    *Set
	config *config.Receive
	sink   *receivertest.Sink
	log    *testkit.Buffer
	web    *httptest.Server // the web port, asked on loopback
}

// forEachType runs a test of what all receivers promise.
func forEachType(t *testing.T, test func(t *testing.T, c contract, r *running)) {
	for _, typ := range types {
		t.Run(typ.Name, func(t *testing.T) {
			c, ok := contracts[typ.Name]
			if !ok {
				t.Fatal("it has no entry in contracts")
			}
			test(t, c, start(t, c))
		})
	}
}

func start(t *testing.T, c contract) *running {
	t.Helper()
	folder := t.TempDir()
	r := &running{config: c.Config(t, folder), sink: new(receivertest.Sink), log: new(testkit.Buffer)}
	storage := t.TempDir()
	r.set = NewSet(SetOptions{
		Sink: r.sink, Logger: log.NewLogfmtLogger(r.log),
		Hidden:  func(*http.Request) string { return "" },
		Storage: func(string) (string, error) { return storage, nil },
	})
	t.Cleanup(r.set.Close)
	r.web = httptest.NewServer(r.set.Handler(http.NotFoundHandler()))
	t.Cleanup(r.web.Close)
	if problems := Check(r.config); len(problems) > 0 {
		t.Fatalf("check: %v", problems)
	}
	r.set.Reload(t.Context(), r.config)
	r.poll(t, "the receiver to open", func() bool { return len(r.set.Late()) == 0 })
	for _, u := range r.set.present() { // paths are known before a receiver is made
		var got []string
		for _, e := range u.receiver.Endpoints() {
			got = append(got, e.Path)
		}
		if want := u.typ.Section(r.config).Paths; !slices.Equal(got, want) {
			t.Errorf("%s answers %q, and is said to answer %q", u.typ.Name, got, want)
		}
	}
	return r
}

// poll waits until ask says so.
func (r *running) poll(t *testing.T, what string, ask func() bool) {
	t.Helper()
	testkit.Poll(t, what, ask, func() string {
		return fmt.Sprintf("state:\n%v\nviews: %+v\nlog:\n%s", r.sink.State(), r.set.Views(), r.log)
	})
}

// addresses are where the receiver listens.
func (r *running) addresses() receivertest.Addresses { return r.set.Views()[0].Addresses }

// Good messages survive bad ones, with the same values.
func TestGoodMessagesSurvive(t *testing.T) {
	forEachType(t, func(t *testing.T, c contract, r *running) {
		var mixed []string
		for i, m := range c.Good {
			mixed = append(mixed, c.Bad[i%len(c.Bad)], m)
		}
		c.Send(t, r.addresses(), slices.Concat(mixed, c.Bad)...)
		r.poll(t, "the good messages to be put", func() bool { return len(r.sink.State()) >= len(c.Want) && cmp.Equal(c.Want, r.sink.State()) })
		if v := r.set.Views()[0]; !v.Up || v.Last.IsZero() {
			t.Errorf("view %+v", v)
		}
	})
}

// Whatever comes, the receiver goes on.
func TestGarbageMessages(t *testing.T) {
	forEachType(t, func(t *testing.T, c contract, r *running) {
		all := slices.Concat(c.Good, c.Bad)
		garbage := []string{"", "\n", "\x00", "\xff\xfe", " ", "{", "}", "[", "null", "{}", "[]", ":", "|", strings.Repeat("x", 1<<15), strings.Repeat("[", 1<<15), strings.Repeat("\n", 1<<10)}
		random := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			text := []byte(all[random.IntN(len(all))])
			for range min(len(text), 1+random.IntN(4)) {
				text[random.IntN(len(text))] = byte(random.IntN(256))
			}
			if len(text) > 0 && random.IntN(3) == 0 {
				text = text[:random.IntN(len(text))]
			}
			garbage = append(garbage, string(text))
		}
		c.Send(t, r.addresses(), garbage...)
		r.sink.Lines() // forget them
		c.Send(t, r.addresses(), c.Good...)
		r.poll(t, "good messages after garbage", func() bool {
			state := r.sink.State()
			return !slices.ContainsFunc(slices.Collect(maps.Keys(c.Want)), func(key string) bool {
				_, ok := state[key]
				return !ok
			})
		})
		if strings.Contains(r.log.String(), "receiver is down") {
			t.Errorf("it was down:\n%s", r.log)
		}
	})
}

// What is too much is dropped and counted, and the receiver goes on.
func TestOverload(t *testing.T) {
	forEachType(t, func(t *testing.T, c contract, r *running) {
		reason := c.Overload(t, r.addresses())
		r.poll(t, "the counter of "+reason, func() bool { return r.set.Views()[0].Counts.Dropped[reason] > 0 })
		r.sink.Lines() // forget them
		c.Send(t, r.addresses(), c.Good...)
		r.poll(t, "good messages after it", func() bool { return len(r.sink.State()) >= len(c.Want) })
	})
}

// It ends promptly, and what it took before is put.
func TestEndPutsTheRest(t *testing.T) {
	forEachType(t, func(t *testing.T, c contract, r *running) {
		c.Send(t, r.addresses(), c.Good...)
		// It has them, and may not have put them.
		r.poll(t, "the messages to arrive", func() bool {
			n := uint64(0)
			for _, packets := range r.set.Views()[0].Counts.Packets {
				n += packets
			}
			return n >= uint64(len(c.Good))
		})
		began := time.Now()
		r.set.Close()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s to end", took)
		}
		if diff := cmp.Diff(c.Want, r.sink.State()); diff != "" {
			t.Errorf("put (-want +got):\n%s", diff)
		}
	})
}

// A reload that changes nothing leaves it alone: its sockets, its clients and
// its series.
func TestReloadLeavesItAlone(t *testing.T) {
	forEachType(t, func(t *testing.T, c contract, r *running) {
		before := r.set.Views()[0]
		again := *r.config // another one that says the same
		r.set.Reload(t.Context(), &again)
		if diff := cmp.Diff(before.Addresses, r.set.Views()[0].Addresses); diff != "" || len(r.set.Late()) > 0 {
			t.Errorf("addresses (-before +after):\n%s", diff)
		}
		if n := strings.Count(r.log.String(), "the receiver is open"); n != 1 {
			t.Errorf("it was opened %d times:\n%s", n, r.log)
		}
		c.Send(t, r.addresses(), c.Good...)
		r.poll(t, "good messages", func() bool { return cmp.Equal(c.Want, r.sink.State()) })
		r.set.Reload(t.Context(), &config.Receive{})
		if lines := r.sink.Lines(); lines[len(lines)-1] != before.Name+" is gone" {
			t.Errorf("the last batch is %q", lines[len(lines)-1])
		}
	})
}

// The files that make reads are in the part, so that a reload sees them change;
// and a receiver whose files are missing is a problem of check.
func TestMissingFiles(t *testing.T) {
	forEachType(t, func(t *testing.T, c contract, r *running) {
		for _, typ := range types {
			p := typ.Section(r.config)
			if p == nil {
				continue
			}
			for _, file := range p.Files {
				if file == "" {
					continue
				}
				if err := os.Rename(file, file+".away"); err != nil {
					t.Fatal(err)
				}
				if problems := Check(r.config); len(problems) != 1 || problems[0].Receiver != typ.Name {
					t.Errorf("without %s: %v", file, problems)
				}
				if err := os.Rename(file+".away", file); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// A receiver whose listener is of no use any more is made anew; its series of
// errors is there from the start.
func TestListenErrorsFromTheStart(t *testing.T) {
	forEachType(t, func(t *testing.T, _ contract, r *running) {
		v := r.set.Views()[0]
		for _, a := range v.Addresses {
			network, _, _ := strings.Cut(a, " ")
			if _, ok := v.Counts.Failed[network]; !ok && network != "web" {
				t.Errorf("%s has no count of errors: %s", a, fmt.Sprint(v.Counts.Failed))
			}
		}
	})
}
