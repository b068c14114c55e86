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
	"scriptbridge/record"
)

// contract is what the suite must know of a kind of receiver to hold it to
// what all promise. Every line of the table needs one.
type contract struct {
	// config makes a configuration with this receiver alone, on port 0 of
	// 127.0.0.1. Called twice for one folder it must give the same.
	config func(t *testing.T, folder string) *config.Receive
	// send has messages sent as a client would, one after the other, and
	// returns when they are on their way. Its errors are the client's own.
	send func(t *testing.T, r *running, messages ...string)
	// good are messages, and want what they come to: for each series, spelled
	// as state does, its value, the sum of what is added, or the weight of
	// what is observed.
	good []string
	want map[string]float64
	// bad are messages that come to nothing at all.
	bad []string
	// overload sends what must be dropped, and gives the reason that counts it.
	overload func(t *testing.T, r *running) (reason string)
}

// contracts has the entries of the kinds, each beside its own tests.
var contracts = map[string]contract{
	"coscale":  coscaleContract,
	"statsd":   statsdContract,
	"collectd": collectdContract,
}

func TestEveryKindHasAContract(t *testing.T) {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(contracts)), cmpEmpty); diff != "" {
		t.Errorf("kinds and contracts (-kinds +contracts):\n%s", diff)
	}
}

// cmpEmpty makes no difference between no names and none.
var cmpEmpty = cmp.Transformer("nil", func(s []string) string { return strings.Join(s, "\n") })

// running is one receiver at work over real sockets.
type running struct {
	set    *Set
	config *config.Receive
	sink   *sinkLog
	log    *syncBuffer
	web    *httptest.Server // the web port, asked on loopback
	away   []string         // its addresses, when it is at work in another process
}

// forEachKind runs a test of what all receivers promise.
func forEachKind(t *testing.T, test func(t *testing.T, c contract, r *running)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			c, ok := contracts[k.name]
			if !ok {
				t.Fatal("it has no entry in contracts")
			}
			test(t, c, start(t, c))
		})
	}
}

// hasty makes receivers for StatsD that put what comes at once: how often they
// do is for a test with a clock of its own. (collectd's puts its first at once.)
func hasty(kinds []kind) []kind {
	kinds = slices.Clone(kinds)
	for i, k := range kinds {
		kinds[i].make = func(c *config.Receive, env Env) (Receiver, error) {
			made, err := k.make(c, env)
			if s, ok := made.(*statsd); ok {
				s.every = 10 * time.Millisecond
			}
			return made, err
		}
	}
	return kinds
}

func start(t *testing.T, c contract) *running {
	t.Helper()
	folder := t.TempDir()
	r := &running{config: c.config(t, folder), sink: new(sinkLog), log: new(syncBuffer)}
	storage := t.TempDir()
	r.set = NewSet(SetOptions{
		Sink: r.sink, Logger: log.NewLogfmtLogger(r.log),
		Hidden:  func(*http.Request) string { return "" },
		Storage: func(string) (string, error) { return storage, nil },
	})
	r.set.kinds = hasty(r.set.kinds)
	t.Cleanup(r.set.Close)
	r.web = httptest.NewServer(r.set.Handler(http.NotFoundHandler()))
	t.Cleanup(r.web.Close)
	if problems := Check(r.config); len(problems) > 0 {
		t.Fatalf("check: %v", problems)
	}
	r.set.Reload(t.Context(), r.config)
	r.poll(t, "the receiver to open", func() bool { return r.set.Ready() })
	for _, u := range r.set.present() { // paths are known before a receiver is made
		var got []string
		for _, e := range u.receiver.Endpoints() {
			got = append(got, e.Path)
		}
		if want := u.kind.part(r.config).paths; !slices.Equal(got, want) {
			t.Errorf("%s answers %q, and is said to answer %q", u.kind.name, got, want)
		}
	}
	return r
}

// poll waits until ask says so.
func (r *running) poll(t *testing.T, what string, ask func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ask() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s; state:\n%v\nviews: %+v\nlog:\n%s", what, r.sink.state(), r.set.Views(), r.log)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// address gives where the receiver listens by a network's word, such as udp.
func (r *running) address(t *testing.T, network string) string {
	t.Helper()
	addresses := r.away
	if addresses == nil {
		addresses = r.set.Views()[0].Addresses
	}
	for _, a := range addresses {
		if at, ok := strings.CutPrefix(a, network+" "); ok {
			return at
		}
	}
	t.Fatalf("it does not listen on %s: %v", network, addresses)
	return ""
}

// state is what the batches since the last reset come to, by series:
// name{label=value,…}.
func (s *sinkLog) state() map[string]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := make(map[string]float64)
	for _, b := range s.batches {
		for _, smp := range b.Samples {
			var labels []string
			for _, l := range smp.Labels {
				labels = append(labels, l.Name+"="+l.Value)
			}
			key := fmt.Sprintf("%s{%s}", smp.Name, strings.Join(labels, ","))
			switch smp.Op {
			case record.Add:
				state[key] += smp.Value
			case record.Observe:
				state[key] += max(smp.Weight, 1)
			default:
				state[key] = smp.Value
			}
		}
	}
	return state
}

// Good messages survive bad ones, with the same values.
func TestGoodMessagesSurvive(t *testing.T) {
	forEachKind(t, func(t *testing.T, c contract, r *running) {
		var mixed []string
		for i, m := range c.good {
			mixed = append(mixed, c.bad[i%len(c.bad)], m)
		}
		c.send(t, r, slices.Concat(mixed, c.bad)...)
		r.poll(t, "the good messages to be put", func() bool { return len(r.sink.state()) >= len(c.want) && cmp.Equal(c.want, r.sink.state()) })
		if v := r.set.Views()[0]; !v.Up || v.Last.IsZero() {
			t.Errorf("view %+v", v)
		}
	})
}

// Whatever comes, the receiver goes on.
func TestGarbageMessages(t *testing.T) {
	forEachKind(t, func(t *testing.T, c contract, r *running) {
		all := slices.Concat(c.good, c.bad)
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
		c.send(t, r, garbage...)
		r.sink.lines() // forget them
		c.send(t, r, c.good...)
		r.poll(t, "good messages after garbage", func() bool {
			state := r.sink.state()
			return !slices.ContainsFunc(slices.Collect(maps.Keys(c.want)), func(key string) bool {
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
	forEachKind(t, func(t *testing.T, c contract, r *running) {
		reason := c.overload(t, r)
		r.poll(t, "the counter of "+reason, func() bool { return r.set.Views()[0].Counts.Dropped[reason] > 0 })
		r.sink.lines() // forget them
		c.send(t, r, c.good...)
		r.poll(t, "good messages after it", func() bool { return len(r.sink.state()) >= len(c.want) })
	})
}

// It ends promptly, and what it took before is put.
func TestEndPutsTheRest(t *testing.T) {
	forEachKind(t, func(t *testing.T, c contract, r *running) {
		c.send(t, r, c.good...)
		// It has them, and may not have put them.
		r.poll(t, "the messages to arrive", func() bool {
			n := uint64(0)
			for _, packets := range r.set.Views()[0].Counts.Packets {
				n += packets
			}
			return n >= uint64(len(c.good))
		})
		began := time.Now()
		r.set.Close()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s to end", took)
		}
		if diff := cmp.Diff(c.want, r.sink.state()); diff != "" {
			t.Errorf("put (-want +got):\n%s", diff)
		}
	})
}

// A reload that changes nothing leaves it alone: its sockets, its clients and
// its series.
func TestReloadLeavesItAlone(t *testing.T) {
	forEachKind(t, func(t *testing.T, c contract, r *running) {
		before := r.set.Views()[0]
		again := *r.config // another one that says the same
		r.set.Reload(t.Context(), &again)
		if diff := cmp.Diff(before.Addresses, r.set.Views()[0].Addresses); diff != "" || !r.set.Ready() {
			t.Errorf("addresses (-before +after):\n%s", diff)
		}
		if n := strings.Count(r.log.String(), "the receiver is open"); n != 1 {
			t.Errorf("it was opened %d times:\n%s", n, r.log)
		}
		c.send(t, r, c.good...)
		r.poll(t, "good messages", func() bool { return cmp.Equal(c.want, r.sink.state()) })
		r.set.Reload(t.Context(), &config.Receive{})
		if lines := r.sink.lines(); lines[len(lines)-1] != before.Name+" is gone" {
			t.Errorf("the last batch is %q", lines[len(lines)-1])
		}
	})
}

// The files that make reads are in the part, so that a reload sees them change;
// and a receiver whose files are missing is a problem of check.
func TestMissingFiles(t *testing.T) {
	forEachKind(t, func(t *testing.T, c contract, r *running) {
		for _, k := range kinds {
			p := k.part(r.config)
			if p == nil {
				continue
			}
			for _, file := range p.files {
				if file == "" {
					continue
				}
				if err := os.Rename(file, file+".away"); err != nil {
					t.Fatal(err)
				}
				if problems := Check(r.config); len(problems) != 1 || problems[0].Receiver != k.name {
					t.Errorf("without %s: %v", file, problems)
				}
				if err := os.Rename(file+".away", file); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
