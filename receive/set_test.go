package receive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/internal/testkit"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// bench is a Set of fakes at work: the receivers of every name in the table.
type bench struct {
	*Set
	sink receivertest.Sink
	log  testkit.Buffer

	mu    sync.Mutex
	made  map[string]*fake // the last one of each kind
	calls []string         // what happened, in order
	makes map[string]error // what make answers
	runs  map[string]error // what Run answers, before it is open
}

func newBench(o SetOptions) *bench {
	b := &bench{made: make(map[string]*fake), makes: make(map[string]error), runs: make(map[string]error)}
	o.Sink, o.Logger = &b.sink, log.NewLogfmtLogger(&b.log)
	b.Set = NewSet(o)
	b.types = nil
	for _, typ := range types {
		b.types = append(b.types, receiver.Type{Name: typ.Name, Prefix: typ.Prefix, Section: typ.Section, New: b.make})
	}
	return b
}

func (b *bench) make(_ *config.Receive, env receiver.Env) (receiver.Receiver, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := env.Source.Name
	if _, ok := env.Sink.(record.Tee); ok { // on trial
		return &fake{bench: b, env: env}, b.makes[name]
	}
	if err := b.makes[name]; err != nil {
		b.calls = append(b.calls, name+" is not made")
		return nil, err
	}
	b.calls = append(b.calls, name+" is made")
	f := &fake{bench: b, env: env, fail: make(chan error)}
	f.endpoints = []receiver.Endpoint{{Path: "/" + name + "/", Handler: f}, {Path: "/" + name + "-private", Handler: f, Private: true}}
	b.made[name] = f
	return f, nil
}

func (b *bench) call(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf(format, args...))
}

// happened gives what happened since it was asked last. What several receivers
// do at once is in no order, so the lines are sorted.
func (b *bench) happened() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = nil
	slices.Sort(calls)
	return calls
}

// fake is a receiver that takes what its channel and its endpoint are given.
type fake struct {
	bench     *bench
	env       receiver.Env
	endpoints []receiver.Endpoint
	fail      chan error // ends Run
}

func (f *fake) Run(ctx context.Context) error {
	name := f.env.Source.Name
	f.bench.mu.Lock()
	err := f.bench.runs[name]
	f.bench.mu.Unlock()
	if err != nil {
		f.bench.call("%s does not open", name)
		return err
	}
	f.env.Opened()
	select {
	case err := <-f.fail:
		f.bench.call("%s fails", name)
		return err
	case <-ctx.Done():
	}
	f.bench.call("%s ends", name)
	return f.put("the_rest")
}

func (f *fake) put(name string) error {
	return f.env.Sink.Put(&record.Batch{Source: f.env.Source, Time: time.Now(), Samples: []record.Sample{{Name: name}}})
}

func (f *fake) Endpoints() []receiver.Endpoint { return f.endpoints }
func (f *fake) Addresses() []string            { return []string{"udp 127.0.0.1:1"} }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("slow") {
		time.Sleep(time.Second) // in the bubble
		f.bench.call("%s has answered", f.env.Source.Name)
	}
	fmt.Fprintf(w, "%s at %s", f.env.Source.Name, r.URL.Path)
}

func differ(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A reload changes what has changed, and nothing else.
func TestReloadByDifference(t *testing.T) {
	folder := t.TempDir()
	tokens := filepath.Join(folder, "tokens")
	write := func(text string) {
		if err := os.WriteFile(tokens, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		all := func() *config.Receive {
			return &config.Receive{
				CoScale:  &config.ReceiveCoScale{AccessTokensFile: tokens, MaxSeries: 7, Labels: map[string]string{"b": "2", "a": "1"}},
				StatsD:   &config.ReceiveStatsD{UDP: "127.0.0.1:8125"},
				Collectd: &config.ReceiveCollectd{},
			}
		}
		b.Reload(t.Context(), all())
		differ(t, "the start", b.happened(), []string{"collectd is made", "coscale is made", "statsd is made"})
		if len(b.Late()) > 0 {
			t.Error("not ready")
		}
		source := &record.Source{
			Kind: record.Receiver, Name: "coscale", Rank: 1 << 20, Prefix: "coscale", MaxSeries: 7,
			Labels: []record.Label{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}},
		}
		if diff := cmp.Diff(source, b.made["coscale"].env.Source); diff != "" {
			t.Errorf("source (-want +got):\n%s", diff)
		}
		if s := b.made["collectd"].env.Source; s.Rank != 1<<20+2 || s.Prefix != "" {
			t.Errorf("source of collectd: %+v", s)
		}

		b.Reload(t.Context(), all())
		differ(t, "nothing changed", b.happened(), nil)

		changed := all()
		changed.StatsD.UDP = "127.0.0.1:9125"
		b.made["statsd"].env.Counts.Dropped("overload", 3)
		b.Reload(t.Context(), changed)
		differ(t, "statsd changed", b.happened(), []string{"statsd ends", "statsd is made"})
		differ(t, "batches", b.sink.Lines(), []string{"statsd the_rest"})
		if n := b.made["statsd"].env.Counts.View().Dropped["overload"]; n != 3 {
			t.Errorf("%d dropped, want 3: counts outlive a reload", n)
		}

		write("two")
		b.Reload(t.Context(), changed)
		differ(t, "the tokens changed", b.happened(), []string{"coscale ends", "coscale is made"})

		b.sink.Lines()
		b.Reload(t.Context(), &config.Receive{Collectd: &config.ReceiveCollectd{}})
		differ(t, "two are gone", b.happened(), []string{"coscale ends", "statsd ends"})
		got := b.sink.Lines()
		slices.Sort(got)
		differ(t, "batches", got, []string{"coscale is gone", "coscale the_rest", "statsd is gone", "statsd the_rest"})

		last := b.made["collectd"]
		b.Close()
		differ(t, "the end", b.happened(), []string{"collectd ends"})
		differ(t, "batches", b.sink.Lines(), []string{"collectd the_rest"})
		if err := last.put("late"); !errors.Is(err, errOver) {
			t.Errorf("a late batch: %v", err)
		}
		b.Reload(t.Context(), all())
		differ(t, "after the end", b.happened(), nil)
	})
}

// TestBadFile: what cannot be made does not take the place of what works, and
// does once it can.
func TestBadFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		defer b.Close()
		first := &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "a:1"}}
		b.Reload(t.Context(), first)
		running := b.made["statsd"]
		b.makes["statsd"] = errors.New("mapping.yml: no such thing")
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "b:1"}})
		if views := b.Views(); b.made["statsd"] != running || len(views) != 1 || !views[0].Up {
			t.Errorf("after a bad file: %+v", views)
		}
		if want := `receiver=statsd msg="the receiver goes on as it was: the new one cannot be made" err="mapping.yml: no such thing"`; !strings.Contains(b.log.String(), want) {
			t.Errorf("the log: %s", b.log.String())
		}
		delete(b.makes, "statsd")
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "b:1"}})
		if views := b.Views(); b.made["statsd"] == running || !views[0].Up {
			t.Errorf("after it was mended: %+v", views)
		}
	})
}

// A receiver that is down gives way to one that cannot be made either: what is
// told is what is wrong with the configuration of now.
func TestBadFileWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		defer b.Close()
		b.runs["statsd"] = errors.New("port taken")
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "a:1"}})
		b.makes["statsd"] = errors.New("mapping.yml: no such thing")
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "b:1"}})
		if v := b.Views(); len(v) != 1 || v[0].Up || v[0].Error != "mapping.yml: no such thing" {
			t.Errorf("views: %+v", v)
		}
	})
}

// A receiver that opens when it is to end already lets nobody in any more.
func TestDoorStaysShut(t *testing.T) {
	d := receiver.NewDoor()
	d.Shut()
	d.Open([]receiver.Endpoint{{Path: "/"}})
	if _, _, ok := d.Enter("/", httptest.NewRecorder()); ok {
		t.Error("somebody got in")
	}
}

// What is down is told once, tried again ever more rarely, and up again as soon
// as it can be.
func TestDownAndUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		start := time.Now()
		b.runs["statsd"] = errors.New("port 8125 is taken")
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}})
		wantView := func(want View) {
			t.Helper()
			if diff := cmp.Diff([]View{want}, b.Views()); diff != "" {
				t.Errorf("view after %s (-want +got):\n%s", time.Since(start), diff)
			}
		}
		wantView(View{Name: "statsd", Error: "port 8125 is taken"})
		if len(b.Late()) == 0 {
			t.Error("ready")
		}
		tries := func(after ...time.Duration) {
			t.Helper()
			b.happened()
			for _, d := range after {
				time.Sleep(d - time.Nanosecond) // in the bubble
				synctest.Wait()
				if len(b.happened()) > 0 {
					t.Errorf("tried before %s", d)
				}
				time.Sleep(time.Nanosecond) // in the bubble
				synctest.Wait()
				if len(b.happened()) == 0 {
					t.Errorf("not tried after %s", d)
				}
			}
		}
		tries(5*time.Second, 10*time.Second, 20*time.Second, 40*time.Second, time.Minute, time.Minute)
		if n := strings.Count(b.log.String(), `err="port 8125 is taken"`); n != 1 {
			t.Errorf("told %d times:\n%s", n, &b.log)
		}
		b.mu.Lock()
		b.runs["statsd"], b.makes["statsd"] = nil, errors.New("mapping.yml:3: bad")
		b.mu.Unlock()
		tries(time.Minute)
		wantView(View{Name: "statsd", Error: "mapping.yml:3: bad"})
		b.mu.Lock()
		b.makes["statsd"] = nil
		b.mu.Unlock()
		tries(time.Minute)
		addresses := []string{"udp 127.0.0.1:1", "web /statsd/", "web /statsd-private"}
		wantView(View{Name: "statsd", Up: true, Addresses: addresses})

		put := time.Now()
		b.made["statsd"].env.Sink.Put(&record.Batch{Source: b.made["statsd"].env.Source, Time: put, Err: errors.New("no such file")})
		wantView(View{Name: "statsd", Up: true, Addresses: addresses, Last: put, Error: "no such file"})

		b.made["statsd"].fail <- errors.New("the network is gone")
		synctest.Wait()
		wantView(View{Name: "statsd", Error: "the network is gone", Last: put})
		tries(5 * time.Second)
		wantView(View{Name: "statsd", Up: true, Addresses: addresses, Last: put, Error: "no such file"})
		b.made["statsd"].fail <- nil
		synctest.Wait()
		wantView(View{Name: "statsd", Error: "it ended by itself", Last: put})
		b.Close()
	})
}

// A sink's failure goes back to the receiver, is counted, and told once.
func TestSinkFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		defer b.Close()
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}})
		b.sink.Fail(errors.New("disk full"))
		for range 3 {
			if err := b.made["statsd"].put("a"); err == nil || err.Error() != "disk full" {
				t.Errorf("Put: %v", err)
			}
		}
		if n := b.SinkErrors(); n != 3 {
			t.Errorf("%d sink errors, want 3", n)
		}
		if n := strings.Count(b.log.String(), "disk full"); n != 1 {
			t.Errorf("told %d times:\n%s", n, &b.log)
		}
	})
}

// A receiver's folder is asked for each time it is made.
func TestStorageFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		b := newBench(SetOptions{Storage: func(name string) (string, error) {
			if asked++; asked == 1 {
				return "", errors.New("others may write it")
			}
			return "/state/" + name, nil
		}})
		defer b.Close()
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}})
		if v := b.Views()[0]; v.Up || v.Error != "others may write it" {
			t.Errorf("view %+v", v)
		}
		time.Sleep(5 * time.Second) // in the bubble
		synctest.Wait()
		if got := b.made["statsd"].env.Storage; got != "/state/statsd" {
			t.Errorf("folder %q", got)
		}
	})
}

func TestHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hidden := "this is a test"
		b := newBench(SetOptions{Hidden: func(*http.Request) string { return hidden }})
		defer b.Close()
		b.runs["collectd"] = errors.New("port taken")
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}})
		h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "next") }))
		ask := func(path string, want string, header ...string) {
			t.Helper()
			r := httptest.NewRequest("POST", "http://localhost"+path, nil)
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := fmt.Sprintf("%d %s", w.Code, strings.TrimSpace(w.Body.String())); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
		ask("/statsd/", "200 statsd at /statsd/")
		ask("/statsd/a/b", "200 statsd at /statsd/a/b")
		ask("/statsd", "200 next")
		ask("/statsd-private/a", "200 next")
		ask("/statsd-private", "403 this is for who may see private pages: this is a test")
		ask("/statsd/", "403 a page of another site asked for this in a browser", "Sec-Fetch-Site", "cross-site")
		ask("/statsd/", "403 a page of another site asked for this in a browser", "Origin", "http://evil.example")
		ask("/api/v1/app/x/data/", `404 {"msg":"there is no receiver at this address"}`)
		ask("/api", `404 {"msg":"there is no receiver at this address"}`)
		ask("/apis", "200 next")
		hidden = ""
		ask("/statsd-private", "200 statsd at /statsd-private")

		// What is for a receiver that is down may be asked for again; what is for
		// none, not.
		b.runs["coscale"] = errors.New("disk full")
		b.Reload(t.Context(), &config.Receive{
			StatsD:   &config.ReceiveStatsD{},
			CoScale:  &config.ReceiveCoScale{},
			Collectd: &config.ReceiveCollectd{HTTPPath: "/post"},
		})
		ask("/api/v1/app/", `503 {"msg":"the receiver is not open"}`)
		ask("/post", `503 {"msg":"the receiver is not open"}`)
		ask("/poster", "200 next")
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}, CoScale: &config.ReceiveCoScale{Listen: []string{":80"}}})
		ask("/api/v1/app/", `404 {"msg":"there is no receiver at this address"}`)
		ask("/post", "200 next")
	})
}

// Who asks while the bridge starts or ends is told to come back: to the vendors'
// clients, and to another bridge's upload, a 404 is the last word.
func TestHandlerAtStartAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &config.Receive{CoScale: &config.ReceiveCoScale{}, Collectd: &config.ReceiveCollectd{HTTPPath: "/post"}}
		b := newBench(SetOptions{First: first, Hidden: func(*http.Request) string { return "" }})
		h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "next") }))
		ask := func(path string, want int) {
			t.Helper()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", "http://localhost"+path, nil))
			if w.Code != want || (w.Code == http.StatusServiceUnavailable) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("%s: %d, want %d; Retry-After: %q", path, w.Code, want, w.Header().Get("Retry-After"))
			}
		}
		closed := func() {
			t.Helper()
			ask("/api/v1/app/shop/login/", http.StatusServiceUnavailable)
			ask("/api/v1/app/shop/data/", http.StatusServiceUnavailable)
			ask("/post", http.StatusServiceUnavailable)
			ask("/metrics", http.StatusOK)
			ask("/-/quit", http.StatusOK)
		}
		closed()
		b.Reload(t.Context(), first)
		ask("/coscale/", http.StatusOK)
		b.Close()
		closed()
	})
}

// A request that is inside when its receiver has to end is answered first, and
// none gets in after it.
func TestRequestsLeaveFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}})
		h := b.Handler(http.NotFoundHandler())
		b.happened()
		answered := make(chan string, 1)
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/statsd/?slow", nil))
			answered <- w.Body.String()
		}()
		synctest.Wait()
		ended := make(chan struct{})
		go func() { b.Reload(t.Context(), &config.Receive{}); close(ended) }()
		synctest.Wait()
		differ(t, "while it is inside", b.happened(), nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/statsd/", nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("a later one got in: %d", w.Code)
		}
		<-ended
		differ(t, "after it", b.happened(), []string{"statsd ends", "statsd has answered"})
		if got := <-answered; got != "statsd at /statsd/" {
			t.Errorf("answered %q", got)
		}
		b.Close()
	})
}

// What the receivers would be made of is told apart by the configuration and by
// what the files hold.
func TestFingerprint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	of := func(ttl time.Duration) string {
		return Fingerprint(&config.Receive{StatsD: &config.ReceiveStatsD{MappingConfig: file, TTL: ttl}, Collectd: &config.ReceiveCollectd{}})
	}
	first := of(1)
	if of(1) != first || of(2) == first || Fingerprint(&config.Receive{}) == first {
		t.Error("the configuration does not tell them apart")
	}
	receivertest.WriteFile(t, file, "")
	if of(1) == first {
		t.Error("the file does not tell them apart")
	}
}

// While a reload tries whether a receiver can be made, which takes as long as
// its files take, all else goes on; and the end does not wait for it.
func TestTrialHoldsNobodyUp(t *testing.T) {
	b := newBench(SetOptions{})
	hold, trying := make(chan struct{}), make(chan bool, 10)
	var slow atomic.Bool
	for i, k := range b.types {
		b.types[i].New = func(c *config.Receive, env receiver.Env) (receiver.Receiver, error) {
			if slow.Load() {
				trying <- true
				<-hold
			}
			return k.New(c, env)
		}
	}
	b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "a:1"}})
	running := b.made["statsd"]
	slow.Store(true)
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "b:1"}})
	}()
	<-trying
	h := b.Handler(http.NotFoundHandler())
	testkit.Promptly(t, "what asks the receivers", func() {
		if v := b.Views(); len(v) != 1 || !v[0].Up || len(b.Late()) > 0 {
			t.Errorf("views: %+v", v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/statsd/", nil))
		if w.Code != http.StatusOK {
			t.Errorf("a request: %d", w.Code)
		}
		if err := running.put("meanwhile"); err != nil {
			t.Error(err)
		}
	})
	testkit.Promptly(t, "the end", b.Close)
	close(hold)
	<-reloaded
	if v := b.Views(); len(v) != 0 || b.made["statsd"] != running {
		t.Errorf("after the end: %+v", v)
	}
}

// So it is with one that has been put to work and waits for its files.
func TestMakeHoldsNobodyUp(t *testing.T) {
	b := newBench(SetOptions{})
	hold, making := make(chan struct{}), make(chan bool)
	defer close(hold)
	b.types[1].New = func(*config.Receive, receiver.Env) (receiver.Receiver, error) {
		making <- true
		<-hold
		return nil, errors.New("nobody hears this")
	}
	ctx, cancel := context.WithCancel(t.Context())
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		b.Reload(ctx, &config.Receive{StatsD: &config.ReceiveStatsD{}})
	}()
	<-making
	testkit.Promptly(t, "what asks the receivers", func() {
		if v := b.Views(); len(v) != 1 || v[0].Up || v[0].Error != "" || len(b.Late()) == 0 {
			t.Errorf("views: %+v", v)
		}
	})
	cancel()
	testkit.Promptly(t, "a reload that is given up", func() { <-reloaded })
	testkit.Promptly(t, "the end", b.Close)
}

// A mistake of ours in the making of a receiver is its trouble alone: it is down,
// says so, and is tried again.
func TestMakePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(SetOptions{})
		defer b.Close()
		sound := b.types[1].New
		var spoilt atomic.Bool
		spoilt.Store(true)
		b.types[1].New = func(r *config.Receive, env receiver.Env) (receiver.Receiver, error) {
			if spoilt.Load() {
				panic("odd")
			}
			return sound(r, env)
		}
		b.Reload(t.Context(), &config.Receive{StatsD: &config.ReceiveStatsD{}, Collectd: &config.ReceiveCollectd{}})
		synctest.Wait()
		want := "this is a fault of scriptbridge itself: odd (please report it; --log.level=debug tells where it is)"
		if v := b.Views(); len(v) != 2 || v[0].Up || v[0].Error != want || !v[1].Up {
			t.Errorf("the receivers are %+v", v)
		}
		spoilt.Store(false)
		time.Sleep(retryFirst)
		synctest.Wait()
		if v := b.Views(); !v[0].Up || !v[1].Up {
			t.Errorf("the receivers are %+v", v)
		}
	})
}
