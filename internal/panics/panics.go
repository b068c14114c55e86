// Package panics makes errors of panics, where what a file says must not be the
// end of a bridge at work.
package panics

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// Error is a panic: a mistake of this program, whatever led to it.
type Error struct {
	Value any // what the panic was given
	Stack string
}

// Error is one line.
func (e *Error) Error() string {
	return fmt.Sprintf("this is a fault of scriptbridge itself: %s (please report it; --log.level=debug tells where it is)",
		strings.Join(strings.Fields(fmt.Sprint(e.Value)), " "))
}

// Try calls f and gives its error; where f panics, that as an *Error. What f
// has locked must be unlocked by defer. Who cannot give such an error back may
// panic with it: it stays what it is.
func Try(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Error:
			err = p
		default:
			err = &Error{p, string(debug.Stack())}
		}
	}()
	return f()
}

// Place gives the key and value by which a line of the log tells where a fault is;
// nothing for an error that is none.
func Place(err error) []any {
	if stack := StackOf(err); stack != "" {
		return []any{"stack", stack}
	}
	return nil
}

// StackOf is where the first fault among joined and wrapped errors is; empty
// when there is none.
func StackOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Stack
	}
	return ""
}
