package panics

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A fault that is handed on by a panic is still the first one.
func TestTryAgain(t *testing.T) {
	first := Try(func() error { dereference(nil); return nil })
	if again := Try(func() error { panic(first) }); again != first {
		t.Errorf("it became %v", again)
	}
}

// dereference panics as programs do.
func dereference(p *struct{ n int }) int { return p.n }

func TestTry(t *testing.T) {
	plain := errors.New("plain")
	if err := Try(func() error { return plain }); err != plain || StackOf(err) != "" {
		t.Errorf("an error became %v", err)
	}
	if err := Try(func() error { return nil }); err != nil || StackOf(err) != "" {
		t.Errorf("nothing became %v", err)
	}
	for _, c := range []struct {
		f    func()
		want string
	}{
		{func() { dereference(nil) }, "runtime error: invalid memory address or nil pointer dereference"},
		{func() { panic("two\n\tlines") }, "two lines"},
		{func() { panic(fmt.Errorf("wrapped: %w", plain)) }, "wrapped: plain"},
		{func() { panic(nil) }, "panic called with nil argument"},
	} {
		err := Try(func() error { c.f(); return plain })
		want := "this is a fault of scriptbridge itself: " + c.want + " (please report it; --log.level=debug tells where it is)"
		if err == nil || err.Error() != want {
			t.Errorf("the error is %v\nwant %s", err, want)
		}
		wrapped := errors.Join(plain, fmt.Errorf("a.yml: %w", err))
		if stack := StackOf(wrapped); !strings.Contains(stack, "panics.TestTry") {
			t.Errorf("the stack is %q", stack)
		}
	}
}
