package record

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-kit/log"
)

func TestLineErrors(t *testing.T) {
	one := &LineError{Line: 1, Reason: "no_value", Err: errors.New("line 1: no value")}
	two := &LineError{Line: 2, Reason: "undeclared", Err: errors.New("line 2: undeclared")}
	whole := errors.New("exited with code 1")
	err := errors.Join(whole, errors.Join(one, fmt.Errorf("wrapped: %w", two)))

	got := LineErrors(err)
	if len(got) != 2 || got[0] != one || got[1] != two {
		t.Errorf("LineErrors = %v", got)
	}
	if rest := WithoutLines(errors.Join(one, whole, two)); rest == nil || rest.Error() != "exited with code 1" {
		t.Errorf("WithoutLines = %v", rest)
	}
	if rest := WithoutLines(errors.Join(one, two)); rest != nil {
		t.Errorf("WithoutLines of lines only = %v", rest)
	}
	if LineErrors(nil) != nil || WithoutLines(nil) != nil {
		t.Error("nil is not nil")
	}
}

type sinkFunc func(*Batch) error

func (f sinkFunc) Put(b *Batch) error { return f(b) }

func TestTee(t *testing.T) {
	var order []string
	sink := func(name string, err error) Sink {
		return sinkFunc(func(*Batch) error { order = append(order, name); return err })
	}
	err := Tee{sink("a", errors.New("disk full")), sink("b", nil), sink("c", errors.New("gone"))}.Put(&Batch{})
	if got := fmt.Sprint(order); got != "[a b c]" {
		t.Errorf("sinks called: %s", got)
	}
	if err == nil || err.Error() != "disk full\ngone" {
		t.Errorf("error: %v", err)
	}
}

func TestIdentify(t *testing.T) {
	source := &Source{Kind: Script, Name: "restart"}
	base := Event{Name: "Restart", Message: "up", Start: time.Unix(100, 5), Stop: time.Unix(200, 0), Attributes: []Label{{"a", "1"}}}
	id := base.Identify(source)
	if len(id) != 16 {
		t.Fatalf("id %q has not 16 digits", id)
	}
	same := base
	same.Start = time.Unix(100, 999) // seconds are all that scripts say
	if same.Identify(source) != id {
		t.Error("the fraction of a second makes another event")
	}
	for what, change := range map[string]func(*Event){
		"name":      func(e *Event) { e.Name = "Stop" },
		"message":   func(e *Event) { e.Message = "down" },
		"start":     func(e *Event) { e.Start = time.Unix(101, 0) },
		"open":      func(e *Event) { e.Stop = time.Time{} },
		"subject":   func(e *Event) { e.Subject.Kind = Application },
		"attribute": func(e *Event) { e.Attributes = []Label{{"a1", ""}} },
	} {
		other := base
		change(&other)
		if other.Identify(source) == id {
			t.Errorf("another %s makes no other event", what)
		}
	}
	if base.Identify(&Source{Kind: Script, Name: "other"}) == id {
		t.Error("another source makes no other event")
	}
}

func TestSeen(t *testing.T) {
	var s Seen
	now := time.Unix(1700000000, 0)
	if s.Again("a", now) || !s.Again("a", now) {
		t.Error("an id is new once")
	}
	// Repeated every hour it stays known; silent for a day it is forgotten.
	for range 48 {
		now = now.Add(time.Hour)
		if !s.Again("a", now) {
			t.Fatal("a repeated id was forgotten")
		}
	}
	if s.Again("a", now.Add(25*time.Hour)) {
		t.Error("an id is remembered for longer than a day of silence")
	}
	for i := range 3 * seenMax {
		s.Again(fmt.Sprint(i), now.Add(time.Duration(i)))
	}
	if len(s.last) > seenMax {
		t.Errorf("%d ids are kept", len(s.last))
	}
	if !s.Again(fmt.Sprint(3*seenMax-1), now) {
		t.Error("the newest id was forgotten")
	}
}

type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

func TestEventLog(t *testing.T) {
	source := &Source{Kind: Script, Name: "restart"}
	e := Event{
		ID: "0123456789abcdef", Name: "Apache restarted", Message: "it said \"no\"\nand died",
		Start: time.Unix(1700000000, 0), Stop: time.Unix(1700000060, 0),
		Attributes: []Label{{"Exit code", "137"}, {"ts", "posing"}},
	}
	open := Event{ID: "fedcba9876543210", Name: "Open", Start: time.Unix(1700000000, 0), Subject: Subject{Group, "web"}}
	var out bytes.Buffer
	l := NewEventLog(log.NewLogfmtLogger(&out))
	b := &Batch{Source: source, Time: time.Unix(1700000100, 0), Events: []Event{e, open}}
	for range 2 { // the second time nothing is new
		if err := l.Put(b); err != nil {
			t.Fatal(err)
		}
	}
	want := `ts=2023-11-14T22:13:20Z script=restart event="Apache restarted" event_id=0123456789abcdef subject=server start=1700000000 stop=1700000060 message="it said \"no\"\nand died" attr_Exit_code=137 attr_ts=posing
ts=2023-11-14T22:13:20Z script=restart event=Open event_id=fedcba9876543210 subject=group subject_name=web start=1700000000 message=
`
	if out.String() != want {
		t.Errorf("got:\n%swant:\n%s", &out, want)
	}
	// What was open has ended, and after that its beginning comes once more.
	ended := open
	ended.Stop, ended.Attributes = time.Unix(1700000090, 0), []Label{{"exitCode", "3"}}
	out.Reset()
	for _, again := range []Event{ended, ended, open, e} {
		if err := l.Put(&Batch{Source: source, Time: time.Unix(1700000200, 0), Events: []Event{again}}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "ts=2023-11-14T22:14:50Z script=restart event=Open event_id=fedcba9876543210 subject=group subject_name=web start=1700000000 stop=1700000090 message= attr_exitCode=3\n"; out.String() != want {
		t.Errorf("its end is\n%swant\n%s", &out, want)
	}
	if err := l.Put(&Batch{Source: source, Gone: true}); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := l.Put(b); err != nil || out.Len() == 0 {
		t.Errorf("after its source was gone an event is new: %q, %v", &out, err)
	}
}

// An event that could not be written is not lost when the script repeats it.
func TestEventLogRetries(t *testing.T) {
	w := &failing{}
	l := NewEventLog(log.NewLogfmtLogger(w))
	b := &Batch{Source: &Source{Kind: Script, Name: "s"}, Time: time.Now(), Events: []Event{{ID: "1", Name: "n"}}}
	for range 2 { // its beginning and its end
		if err := l.Put(b); err != nil {
			t.Fatalf("the disk's error became the batch's: %v", err)
		}
		w.after = 1
		if err := l.Put(b); err != nil || w.after != 0 {
			t.Errorf("it was not written again: %v", err)
		}
		b.Events[0].Stop, w.after = b.Time, 0
	}
}
