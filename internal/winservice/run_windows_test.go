package winservice

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
)

// managed is a service and its manager, as svc.Run has them.
type managed struct {
	t        *testing.T
	requests chan svc.ChangeRequest
	status   chan svc.Status
	ended    chan [2]any // of Execute

	begin, end            chan struct{} // the program is ready, and ends
	stops, hurries, loads int
	log                   strings.Builder
	code                  int
}

func startManaged(t *testing.T, code int) *managed {
	m := &managed{
		t: t, requests: make(chan svc.ChangeRequest), status: make(chan svc.Status, 100), ended: make(chan [2]any, 1),
		begin: make(chan struct{}), end: make(chan struct{}), code: code,
	}
	h := &handler{log: &m.log, events: io.Discard, program: Program{
		Run: func(ready func(), _, _ io.Writer) int {
			select {
			case <-m.begin:
				ready()
				ready() // as after a reload
				<-m.end
			case <-m.end:
			}
			return m.code
		},
		Stop: func() { m.stops++ }, Hurry: func() { m.hurries++ }, Reload: func() { m.loads++ },
	}}
	go func() {
		specific, code := h.Execute([]string{Name}, m.requests, m.status)
		m.ended <- [2]any{specific, code}
	}()
	return m
}

// tells gives what the manager has been told meanwhile.
func (m *managed) tells(want ...svc.Status) {
	m.t.Helper()
	synctest.Wait()
	var got []svc.Status
	for len(m.status) > 0 {
		got = append(got, <-m.status)
	}
	if !reflect.DeepEqual(got, want) {
		m.t.Errorf("the manager is told\n%+v\nnot\n%+v", got, want)
	}
}

func (m *managed) ask(c svc.Cmd) { m.requests <- svc.ChangeRequest{Cmd: c} }

func (m *managed) endsWith(code uint32) {
	m.t.Helper()
	synctest.Wait()
	select {
	case got := <-m.ended:
		if got != [2]any{true, code} {
			m.t.Errorf("it ends with %v, not %d", got, code)
		}
	default:
		m.t.Error("it goes on")
	}
}

func pending(state svc.State, checkpoint uint32) svc.Status {
	return svc.Status{State: state, CheckPoint: checkpoint, WaitHint: 10_000}
}

var running = svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown | svc.AcceptParamChange}

func TestExecute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startManaged(t, 0)
		m.tells(pending(svc.StartPending, 0))
		time.Sleep(2500 * time.Millisecond) // a large spool is read
		m.tells(pending(svc.StartPending, 1), pending(svc.StartPending, 2))
		m.ask(svc.Interrogate)
		m.tells(pending(svc.StartPending, 2))
		close(m.begin)
		m.tells(running)
		time.Sleep(time.Hour)
		m.tells()
		m.ask(svc.ParamChange)
		m.ask(svc.Interrogate)
		m.tells(running)
		m.ask(svc.Pause) // which it does not accept
		m.ask(svc.Stop)
		m.ask(svc.Shutdown)
		m.tells(pending(svc.StopPending, 0))
		if m.stops != 1 || m.loads != 1 || m.hurries != 0 {
			t.Errorf("%d stops, %d reloads, %d hurries", m.stops, m.loads, m.hurries)
		}
		time.Sleep(1400 * time.Millisecond) // a script ends
		m.tells(pending(svc.StopPending, 1))
		close(m.end)
		m.endsWith(0)
	})
}

// What does not end in time ends at once, and is not started again for that.
func TestExecuteLate(t *testing.T) {
	for _, how := range []svc.Cmd{svc.Stop, svc.Shutdown, svc.PreShutdown} {
		synctest.Test(t, func(t *testing.T) {
			m := startManaged(t, 143)
			close(m.begin)
			m.tells(pending(svc.StartPending, 0), running)
			m.ask(how)
			time.Sleep(Grace - time.Millisecond)
			synctest.Wait()
			if m.stops != 1 || m.hurries != 0 {
				t.Errorf("%d stops, %d hurries", m.stops, m.hurries)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if want := "level=error msg=\"the service has not ended in time, and ends at once\" after=30s\n"; m.hurries != 1 || m.log.String() != want {
				t.Errorf("%d hurries, and the log %q", m.hurries, &m.log)
			}
			close(m.end)
			m.endsWith(0)
		})
	}
}

// A program that ends by itself ends the service, with its code, by which the manager knows
// whether to start it again.
func TestExecuteEnds(t *testing.T) {
	for _, c := range []struct {
		code  int
		ready bool
	}{{0, true}, {1, true}, {1, false}} {
		synctest.Test(t, func(t *testing.T) {
			m := startManaged(t, c.code)
			if c.ready {
				close(m.begin)
			}
			synctest.Wait()
			close(m.end)
			m.endsWith(uint32(c.code))
			if m.stops+m.hurries > 0 || m.log.Len() > 0 {
				t.Errorf("%d stops, %d hurries, log %q", m.stops, m.hurries, &m.log)
			}
		})
	}
}

// A stop may come while it starts.
func TestExecuteStopsAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startManaged(t, 0)
		m.ask(svc.Stop)
		close(m.begin)
		m.tells(pending(svc.StartPending, 0), pending(svc.StopPending, 0))
		close(m.end)
		m.endsWith(0)
	})
}

// These tests are not a service.
func TestRunOutside(t *testing.T) {
	code, was := Run(Program{Run: func(func(), io.Writer, io.Writer) int { t.Error("it was run"); return 0 }})
	if code != 0 || was {
		t.Errorf("it is %d, %v", code, was)
	}
}

func TestExplain(t *testing.T) {
	other := errors.New("other")
	for err, want := range map[error]error{
		windows.ERROR_ACCESS_DENIED: ErrDenied, windows.ERROR_SERVICE_EXISTS: ErrInstalled, windows.ERROR_SERVICE_DOES_NOT_EXIST: ErrNotInstalled,
		windows.ERROR_SERVICE_MARKED_FOR_DELETE: ErrLeaving, other: other,
	} {
		if got := explain(fmt.Errorf("told: %w", err)); !errors.Is(got, want) {
			t.Errorf("of %v it is %v", err, got)
		}
	}
	if err := explain(nil); err != nil {
		t.Error(err)
	}
}
