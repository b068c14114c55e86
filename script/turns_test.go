package script

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/script/dialect"
)

// turner is the Runner of a script that is watched: it tells when two of its runs go on at the
// same time, or one begins after the end.
type turner struct {
	t    *testing.T
	name string
	used bool // the pool has it

	mu      sync.Mutex
	running bool
	closed  bool
	last    time.Time // when a run began
}

func (r *turner) Run(ctx context.Context, _ dialect.Exec) *dialect.Result {
	r.mu.Lock()
	if r.running || r.closed {
		r.t.Errorf("%s: a run begins while another one goes on (%v), or after the end (%v)", r.name, r.running, r.closed)
	}
	r.running, r.last = true, time.Now()
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
	}()
	return lasting(rand.N(3*time.Second))(ctx, 1)
}

func (r *turner) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running || r.closed {
		r.t.Errorf("%s: the end comes while a run goes on (%v), or again (%v)", r.name, r.running, r.closed)
	}
	r.closed = true
}

// TestTurns: whatever is asked of scripts, and in which instant, each goes on with its
// turns as long as it is wanted, one run at a time, and ends once.
func TestTurns(t *testing.T) {
	for seed := range uint64(20) {
		inPool(t, 5, func(t *testing.T, p *Pool, _ *memory) {
			dice := rand.New(rand.NewPCG(seed, 0))
			var made []*turner
			wanted := make([]*turner, 20)
			scripts := make([]*Script, len(wanted))
			change := func(i int) {
				r := &turner{t: t, name: fmt.Sprintf("s%d", i)}
				s := newTestScript(r.name, time.Minute, nil)
				s.newRunner = func(*dialect.Script, dialect.Memory) dialect.Runner { r.used, r.last = true, time.Now(); return r }
				s.fingerprint, s.Probe, s.aligned = fmt.Sprint(r.name, len(made)), dice.IntN(2) == 0, dice.IntN(2) == 0
				made, wanted[i], scripts[i] = append(made, r), r, s
			}
			reload := func() {
				at := 0
				if dice.IntN(2) == 0 {
					at = dice.IntN(len(scripts)) // those before it are gone until the next reload
				}
				began := time.Now()
				p.Reload(t.Context(), scripts[at:], 5)
				if took := time.Since(began); took > 0 {
					t.Errorf("seed %d: a reload took %v", seed, took)
				}
				for i := range at {
					change(i)
				}
			}
			for i := range wanted {
				change(i)
			}
			p.Reload(t.Context(), scripts, 5)
			for range 500 {
				one := scripts[dice.IntN(len(scripts))].Name
				if v, _ := p.View(one); dice.IntN(2) == 0 {
					time.Sleep(time.Until(v.Next)) // the instant in which it is due
				} else {
					time.Sleep(time.Duration(dice.Int64N(int64(10 * time.Second))))
				}
				switch dice.IntN(8) {
				case 0:
					change(dice.IntN(len(scripts)))
					reload()
				case 1, 2:
					for _, s := range scripts[dice.IntN(len(scripts)):] {
						go p.Probe(t.Context(), s.Name, "", nil)
					}
				default:
					_ = p.RunNow(one) // it may run already
				}
				for _, r := range wanted {
					if !r.used {
						continue
					}
					r.mu.Lock()
					if late := time.Since(r.last); late > 2*time.Minute && !r.running {
						t.Errorf("seed %d: %s has not run for %v", seed, r.name, late)
					}
					r.mu.Unlock()
				}
			}
			p.Close()
			synctest.Wait()
			for _, r := range made {
				if r.used && !r.closed {
					t.Errorf("seed %d: %s has not ended", seed, r.name)
				}
			}
		})
	}
}
