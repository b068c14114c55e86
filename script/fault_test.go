package script

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// dereference panics as programs do.
func dereference(p *struct{ n int }) int { return p.n }

const ourFault = "this is a fault of scriptbridge itself: runtime error: invalid memory address or nil pointer dereference (please report it; --log.level=debug tells where it is)"

// unable is a sink that panics at some samples.
type unable struct{ memory }

func (s *unable) Put(b *record.Batch) error {
	if err := s.memory.Put(b); err != nil {
		return err
	}
	for _, v := range b.Samples {
		if v.Name == "fault" {
			dereference(nil)
		}
	}
	return nil
}

// well is what a good run gives.
func well() *dialect.Result {
	return &dialect.Result{Outcomes: []*process.Outcome{dialect.Instant(time.Now(), time.Second)}, Samples: []record.Sample{{Name: "n", Value: 1}}}
}

// A fault of ours in a run is that run's failure, wherever it is: it is logged
// once, with its place, the script's next run is a new one, and all others go on.
func TestFaultInRun(t *testing.T) {
	for what, bad := range map[string]func() *dialect.Result{
		"in the dialect": func() *dialect.Result { dereference(nil); return nil },
		"in the verdict": func() *dialect.Result { return &dialect.Result{Outcomes: []*process.Outcome{nil}} },
		"nothing at all": func() *dialect.Result { return nil },
		"in a sink": func() *dialect.Result {
			t := well()
			t.Samples[0].Name = "fault"
			return t
		},
	} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprint(what, ", kept ", kept), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var text textLog
					sink := new(unable)
					p := NewPool(record.Tee{sink}, log.NewLogfmtLogger(&text), 1)
					defer p.Close()
					turn := func(n int) *dialect.Result {
						if n < 5 {
							return bad()
						}
						return well()
					}
					s := newTestScript("s", time.Minute, &player{play: func(_ context.Context, n int) *dialect.Result { return turn(n) }})
					if kept {
						k := new(lodger)
						k.live = func(ctx context.Context, n int, life dialect.Session) *dialect.Result {
							last := turn(n)
							if n >= 5 {
								life.Put(last)
								<-ctx.Done()
							}
							return last
						}
						s = newKept("s", k)
					}
					other := &player{play: lasting(time.Second)}
					p.Reload(t.Context(), []*Script{s, newTestScript("other", time.Minute, other)}, 1)
					time.Sleep(10*time.Minute + time.Second)
					synctest.Wait()

					if n := other.count(); n < 9 {
						t.Errorf("the other script ran %d times", n)
					}
					failed, good := 0, 0
					var told []error
					for _, b := range sink.runs("s") {
						switch {
						case b.Run.Result == record.OK && (len(b.Samples) == 0 || b.Samples[0].Name != "fault"):
							good++
						case b.Run.Result == record.Invalid:
							failed++
							told = append(told, b.Err)
						}
					}
					if failed != 4 || good < 1 {
						t.Errorf("%d runs failed, and %d were good:\n%s", failed, good, &text)
					}
					for _, err := range told {
						if err == nil || err.Error() != ourFault {
							t.Errorf("a run is told as %v", err)
						}
					}
					if v, _ := p.View("s"); v.Last.Result != record.OK {
						t.Errorf("the page shows %+v", v.Last)
					}
					if n := text.count(`msg="the run failed"`, ourFault, `stack="goroutine `); n != 1 {
						t.Errorf("the fault is told %d times:\n%s", n, &text)
					}
				})
			})
		}
	}
}

// Who asked for a run with a fault is answered.
func TestFaultInProbe(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, _ *memory) {
		s := newTestScript("s", time.Hour, &player{play: func(context.Context, int) *dialect.Result { dereference(nil); return nil }})
		s.Probe = true
		p.Reload(t.Context(), []*Script{s}, 1)
		for range 3 {
			a, err := p.Probe(t.Context(), "s", "", nil)
			if err != nil || a.Batch.Run.Result != record.Invalid {
				t.Fatalf("it is answered with %+v, %v", a, err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// faulty is a Keeper that panics when it is asked to look at its configuration.
type faulty struct{ lodger }

func (*faulty) Inspect(context.Context, dialect.Exec) error { dereference(nil); return nil }

// A fault in looking at one script is that one's.
func TestFaultInInspect(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, _ *memory) {
		k := new(faulty)
		bad := newTestScript("bad", 0, &k.player)
		bad.newRunner = func(*dialect.Script, dialect.Memory) dialect.Runner { return k }
		errs := p.Inspect(t.Context(), []*Script{bad, newKept("s", new(lodger))})
		if len(errs) != 2 || errs[0] == nil || errs[0].Error() != ourFault || errs[1] == nil || errs[1].Error() != "no life" {
			t.Errorf("it says %v", errors.Join(errs...))
		}
	})
}

// What was printed before a fault is shown, and what it cost is counted.
func TestFaultAfterOutput(t *testing.T) {
	ran := &process.Outcome{Result: record.OK, Stdout: []byte("what it printed\n"), Start: time.Now(), End: time.Now().Add(time.Second), User: time.Minute}
	got := attempt(func(context.Context, dialect.Invocation) *process.Outcome { return ran }, func(exec dialect.Exec) *dialect.Result {
		exec(t.Context(), dialect.Invocation{})
		dereference(nil)
		return nil
	})
	if got.Err == nil || len(got.Outcomes) != 1 || got.Outcomes[0] != ran || !strings.Contains(string(got.Output), "what it printed") {
		t.Errorf("it is %+v", got)
	}
}
