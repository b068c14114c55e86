package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/panics"
	"scriptbridge/internal/supervise"
)

// A new kind of thing that is supervised needs a Spec and a Run, and no more:
// this one does.
type clock struct {
	name  string
	every time.Duration
	tell  func(string)
}

func (c clock) Run(ctx context.Context, up func()) {
	up()
	for tick := time.NewTicker(c.every); ; {
		select {
		case <-tick.C:
			c.tell(c.name)
		case <-ctx.Done():
			return
		}
	}
}

func TestNewKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		spec := func(name string, every time.Duration) supervise.Spec[clock] {
			return supervise.Spec[clock]{Key: name, Fingerprint: every.String(), New: func(context.Context) clock { return clock{name, every, d.add} }}
		}
		s := supervise.New[clock](supervise.Options{First: time.Second, Most: time.Minute})
		apply := func(specs ...supervise.Spec[clock]) {
			t.Helper()
			a, err := s.Apply(t.Context(), specs, nil)
			if err != nil {
				t.Fatal(err)
			}
			a.Ended(t.Context())
			a.Tried(t.Context())
		}
		apply(spec("slow", 10*time.Second), spec("fast", 4*time.Second))
		time.Sleep(11 * time.Second)
		d.wants(t, "fast fast slow")
		apply(spec("slow", 10*time.Second), spec("fast", 5*time.Second)) // slow is in the midst of its second round
		time.Sleep(9500 * time.Millisecond)
		d.wants(t, "fast slow")
		apply(spec("slow", 10*time.Second))
		time.Sleep(10 * time.Second)
		d.wants(t, "slow")
		s.Close(context.Background(), nil)
		time.Sleep(time.Hour)
		d.wants(t, "")
	})
}

// diary is what happened.
type diary struct {
	mu   sync.Mutex
	text []string
}

func (d *diary) add(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text = append(d.text, text)
}

func (d *diary) wants(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := strings.Join(d.text, " "); got != want {
		t.Errorf("it went\n%s\nwant\n%s", got, want)
	}
	d.text = nil
}

// unit is one that tells what it is through.
type unit struct {
	*diary
	name    string
	ends    time.Duration         // how long its end takes
	fails   func() (ok bool)      // whether it was up before it failed; nil: it does not fail
	changes func(next *unit) bool // nil: it does not
	err     error                 // of Change
}

func (u *unit) Run(ctx context.Context, up func()) {
	if u.fails != nil {
		ok := u.fails()
		u.add("failed:" + u.name)
		if ok {
			up()
		}
		return
	}
	u.add("+" + u.name)
	up()
	<-ctx.Done()
	time.Sleep(u.ends)
	u.add("-" + u.name)
}

func (u *unit) Change(_ context.Context, next *unit) (bool, error) {
	if u.changes == nil {
		return false, u.err
	}
	return u.changes(next), u.err
}

func (u *unit) Removed() { u.add("removed:" + u.name) }

// world has a Supervisor, and units by key and fingerprint.
type world struct {
	*supervise.Supervisor[*unit]
	diary
}

// with runs f in a world in which time passes at once.
func with(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{Supervisor: supervise.New[*unit](supervise.Options{First: time.Second, Most: 8 * time.Second})}
		defer w.Close(context.Background(), nil)
		f(t, w)
	})
}

// spec is of a unit key/fingerprint, of which edit makes one that is less usual.
func (w *world) spec(name string, edit ...func(*unit)) supervise.Spec[*unit] {
	key, fingerprint, _ := strings.Cut(name, "/")
	return supervise.Spec[*unit]{Key: key, Fingerprint: fingerprint, New: func(context.Context) *unit {
		u := &unit{diary: &w.diary, name: name}
		for _, e := range edit {
			e(u)
		}
		return u
	}}
}

func (w *world) apply(t *testing.T, specs ...supervise.Spec[*unit]) supervise.Applied {
	t.Helper()
	a, err := w.Apply(t.Context(), specs, func() { w.add("=" + w.names()) })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) names() string {
	var names []string
	for _, u := range w.All() {
		names = append(names, u.name)
	}
	return strings.Join(names, ",")
}

func ends(in time.Duration) func(*unit) { return func(u *unit) { u.ends = in } }

// What is the same goes on; what is changed ends before its successor begins,
// what is wanted no more ends for good, and the set is exchanged before either.
func TestDifference(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		w.apply(t, w.spec("a/1"), w.spec("b/1", ends(time.Minute)), w.spec("c/1", ends(time.Second))).Tried(t.Context())
		first := w.All()[0]
		slices.Sort(w.text[1:])
		w.wants(t, "=a/1,b/1,c/1 +a/1 +b/1 +c/1")

		begin := time.Now()
		a := w.apply(t, w.spec("d/1"), w.spec("b/2"), w.spec("a/1"))
		if since := time.Since(begin); since != 0 {
			t.Errorf("Apply has waited %s", since)
		}
		w.wants(t, "=d/1,b/2,a/1 +d/1")
		a.Tried(t.Context())
		a.Ended(t.Context())
		if since := time.Since(begin); since != time.Minute {
			t.Errorf("the end took %s", since)
		}
		w.wants(t, "-c/1 removed:c/1 -b/1 +b/2")
		if u, ok := w.Get("a"); !ok || u != first || w.All()[2] != first {
			t.Error("a is another one")
		}
		if u, ok := w.Get("b"); !ok || u.name != "b/2" {
			t.Error("b is not the new one")
		}
		if _, ok := w.Get("c"); ok {
			t.Error("c is still there")
		}
	})
}

// A successor waits for all who had its place before, also for those who have
// never begun; and what was removed has been told so before it comes back.
func TestSuccessors(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		w.apply(t, w.spec("a/1", ends(time.Minute)))
		w.wants(t, "=a/1 +a/1")
		w.apply(t, w.spec("a/2"))
		w.apply(t)
		a := w.apply(t, w.spec("a/3"))
		w.wants(t, "=a/2 = =a/3")
		a.Tried(t.Context())
		// a/2 is run although it is to end, so that it can let go of what it has.
		w.wants(t, "-a/1 +a/2 -a/2 removed:a/2 +a/3")
	})
}

// A unit that has failed is run again ever more rarely, and at once as often as
// at first when it has been up in between.
func TestFailing(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		var at []time.Duration
		begin := time.Now()
		w.apply(t, w.spec("a/1", func(u *unit) {
			u.fails = func() bool {
				at = append(at, time.Since(begin)/time.Second)
				return len(at) == 6
			}
		})).Tried(t.Context())
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]time.Duration{0, 1, 3, 7, 15, 23, 24, 26, 30, 38}, at); diff != "" {
			t.Errorf("it was run (-want +got):\n%s", diff)
		}
		w.apply(t).Ended(t.Context()) // in the midst of a wait
		time.Sleep(time.Hour)
		if len(at) != 10 {
			t.Errorf("it was run %d times", len(at))
		}
	})
}

// A mistake in the making of one leaves all as they were.
func TestFault(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		w.apply(t, w.spec("a/1"), w.spec("b/1"))
		synctest.Wait()
		w.text = nil
		fails := func(specs ...supervise.Spec[*unit]) {
			t.Helper()
			_, err := w.Apply(t.Context(), specs, func() { t.Error("exchanged") })
			if fault := (*panics.Error)(nil); !errors.As(err, &fault) || fault.Value != "odd" {
				t.Errorf("the error is %v", err)
			}
			w.wants(t, "")
		}
		fails(w.spec("a/2"), w.spec("c/1"), w.spec("b/2", func(*unit) { panic("odd") }))
		w.All()[1].changes = func(*unit) bool { panic("odd") }
		fails(w.spec("a/2"), w.spec("b/2"))
		if w.names() != "a/1,b/1" {
			t.Errorf("at work are %s", w.names())
		}
	})
}

// A Changer goes on as another one, or as it was, without an end.
func TestChange(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		into := func(u *unit) {
			u.changes = func(next *unit) bool {
				u.name = next.name
				return true
			}
		}
		w.apply(t, w.spec("a/1", into), w.spec("b/1", func(u *unit) { u.err = errors.New("it would not work") }), w.spec("c/1"))
		synctest.Wait()
		before := w.All()
		w.text = nil
		w.apply(t, w.spec("a/2"), w.spec("b/2"), w.spec("c/2"))
		w.wants(t, "=a/2,b/1,c/2 -c/1 +c/2")
		if w.All()[0] != before[0] || w.All()[1] != before[1] {
			t.Error("they are others")
		}
		before[0].changes = func(*unit) bool {
			t.Error("what has become another one is that")
			return false
		}
		before[1].err = nil // now it would, and is asked again
		w.apply(t, w.spec("a/2"), w.spec("b/2"), w.spec("c/2"))
		w.wants(t, "=a/2,b/2,c/2 -b/1 +b/2")
	})
}

// What was made and is not put to work is told to end.
func TestDropped(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		w.apply(t, w.spec("a/1", func(u *unit) { u.changes = func(*unit) bool { return true } }))
		var made []context.Context
		dropped := w.spec("a/2")
		dropped.New = func(ctx context.Context) *unit {
			made = append(made, ctx)
			return &unit{diary: &w.diary, name: "a/2"}
		}
		w.apply(t, dropped)
		if _, err := w.Apply(t.Context(), []supervise.Spec[*unit]{w.spec("b/1"), w.spec("c/1", func(*unit) { panic("odd") })}, nil); err == nil {
			t.Error("no error")
		}
		w.Close(t.Context(), nil)
		dropped.Key = "late"
		w.apply(t, dropped)
		if len(made) != 2 || made[0].Err() == nil || made[1].Err() == nil {
			t.Errorf("%d were made, and not all are told to end", len(made))
		}
	})
}

// One that has failed is run at once when it has become another one.
func TestChangeWakes(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		begin := time.Now()
		var at []time.Duration
		w.apply(t, w.spec("a/1", func(u *unit) {
			u.fails = func() bool { at = append(at, time.Since(begin)); return false }
			u.changes = func(*unit) bool { return true }
		}))
		time.Sleep(4 * time.Second)
		w.apply(t, w.spec("a/2"))
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]time.Duration{0, time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second}, at); diff != "" {
			t.Errorf("it was run (-want +got):\n%s", diff)
		}
	})
}

// Who asks what is at work does not wait for a Changer, which may wait for a
// disk; and neither does the end.
func TestChangeIsSlow(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		never := make(chan struct{})
		defer close(never)
		w.apply(t, w.spec("a/1", func(u *unit) {
			u.changes = func(*unit) bool {
				<-never
				return true
			}
		}))
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := w.Apply(ctx, []supervise.Spec[*unit]{w.spec("a/2")}, nil)
			failed <- err
		}()
		synctest.Wait()
		if u, ok := w.Get("a"); !ok || u != w.All()[0] {
			t.Error("a is not at work")
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		w.wants(t, "=a/1 +a/1")
	})
}

// Close waits for all, of whatever set; then nothing begins any more. What was at
// work is still known.
func TestClose(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		w.apply(t, w.spec("a/1", ends(3*time.Second)), w.spec("b/1", ends(4*time.Second)))
		synctest.Wait()
		w.apply(t, w.spec("a/2"))
		synctest.Wait()
		w.text = nil
		begin := time.Now()
		w.Close(t.Context(), func() { w.add("closing") })
		if since := time.Since(begin); since != 4*time.Second {
			t.Errorf("it took %s", since)
		}
		// What was removed before is told so; what the end ends is not.
		w.wants(t, "closing -a/1 +a/2 -a/2 -b/1 removed:b/1")
		w.apply(t, w.spec("c/1"))
		time.Sleep(time.Hour)
		w.wants(t, "")
		if w.names() != "a/2" {
			t.Errorf("at work were %s", w.names())
		}
		w.Close(context.Background(), nil)
	})
}

// Close does not wait for ever, and tells for whom it did not.
func TestCloseLeaves(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		w.apply(t, w.spec("a/1", ends(time.Second)), w.spec("b/1", ends(time.Hour)), w.spec("c/1"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		left := w.Close(ctx, nil)
		if since := time.Since(begin); since != time.Minute || len(left) != 1 || left[0].name != "b/1" {
			t.Errorf("after %s, %d are left", since, len(left))
		}
	})
}

// Waits for what was begun and what is to end are over when ctx is.
func TestWaits(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		w.apply(t, w.spec("a/1", ends(time.Hour)))
		synctest.Wait()
		a := w.apply(t, w.spec("a/2"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		a.Ended(ctx)
		a.Tried(ctx)
		if since := time.Since(begin); since != time.Second {
			t.Errorf("they took %s", since)
		}
	})
}

// Sets are exchanged, asked for and ended all at once.
func TestAtOnce(t *testing.T) {
	with(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for round := range 20 {
					var specs []supervise.Spec[*unit]
					for key := range 5 {
						if (key+round+i)%4 > 0 {
							specs = append(specs, w.spec(fmt.Sprintf("%d/%d", key, (round+key*i)%3)))
						}
					}
					a, err := w.Apply(t.Context(), specs, nil)
					if err != nil {
						t.Error(err)
					}
					a.Tried(t.Context())
					w.Get("1")
					w.names()
				}
			})
		}
		all.Wait()
		w.Close(context.Background(), nil)
		alive := make(map[string]string)
		for _, text := range w.text {
			switch key, _, _ := strings.Cut(text[1:], "/"); text[0] {
			case '+':
				if alive[key] != "" {
					t.Fatalf("%s began while %s was there", text, alive[key])
				}
				alive[key] = text
			case '-':
				delete(alive, key)
			}
		}
		if len(alive) > 0 {
			t.Errorf("left are %v", alive)
		}
	})
}

// sleeper is a Starter: it has nothing but functions that are called.
type sleeper struct {
	*diary
	name   string
	starts bool

	mu    sync.Mutex
	ctx   context.Context
	ended func()
}

func (s *sleeper) Run(ctx context.Context, up func()) {
	s.add("run:" + s.name)
	up()
	<-ctx.Done()
	time.Sleep(time.Second)
	s.add("-" + s.name)
}

func (s *sleeper) Start(ctx context.Context, ended func()) bool {
	if !s.starts {
		return false
	}
	s.mu.Lock()
	s.ctx, s.ended = ctx, ended
	s.mu.Unlock()
	s.add("start:" + s.name)
	if ctx.Err() != nil {
		s.Wake()
	}
	return true
}

func (s *sleeper) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil || s.ctx.Err() == nil {
		return
	}
	ended := s.ended
	s.ended = nil
	go func() {
		time.Sleep(time.Second)
		s.add("-" + s.name)
		ended()
	}()
}

func (s *sleeper) Removed() { s.add("removed:" + s.name) }

// A Starter is started, woken when it is to end, followed when it has, and waited for; one
// that does not want to be started is run.
func TestStarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		s := supervise.New[*sleeper](supervise.Options{})
		apply := func(names ...string) {
			t.Helper()
			var specs []supervise.Spec[*sleeper]
			for _, name := range names {
				specs = append(specs, supervise.Spec[*sleeper]{Key: name[:1], Fingerprint: name, New: func(context.Context) *sleeper {
					return &sleeper{diary: &d, name: name, starts: name[0] != 'r'}
				}})
			}
			a, err := s.Apply(t.Context(), specs, nil)
			if err != nil {
				t.Fatal(err)
			}
			a.Tried(t.Context())
			a.Ended(t.Context())
			synctest.Wait()
		}
		apply("a1")
		d.wants(t, "start:a1")
		apply("a2")
		d.wants(t, "-a1 start:a2")
		apply("r1")
		d.wants(t, "run:r1 -a2 removed:a2")
		apply("b1")
		d.wants(t, "start:b1 -r1 removed:r1")
		if left := s.Close(t.Context(), nil); len(left) > 0 {
			t.Errorf("%d are left", len(left))
		}
		d.wants(t, "-b1")
	})
}
