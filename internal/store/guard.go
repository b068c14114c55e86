package store

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// guard runs what uses the db. The store finds damage in the middle of its work
// and panics, or leads to memory that is not there, which the system answers with
// a signal: then the file is ill. A panic of the function itself is its own fault,
// and an error that costs nobody a file.
func (f *File) guard(run func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		where, stores := culprit(p)
		if !stores {
			err = fmt.Errorf("%s panics: %v", where, p)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.fall(fmt.Errorf("%w: %v", ErrDamaged, p))
		err = f.why // by which this one may have been cut off
	}()
	return run()
}

// nowhere is as far as the memory goes that belongs to nobody: what is read there
// was no address, but nothing.
const nowhere = 64 << 10

// culprit says where a panic that was just recovered came from, and whether it is
// the store's: who reads what a damaged file led to is not to blame.
func culprit(p any) (where string, stores bool) {
	if fault, ok := p.(interface{ Addr() uintptr }); ok && fault.Addr() >= nowhere {
		return "the store", true
	}
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	panicking := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case !panicking:
		case strings.HasPrefix(frame.Function, "go.etcd.io/bbolt"):
			return "the store", true
		case strings.HasPrefix(frame.Function, "scriptbridge/") || strings.HasPrefix(frame.Function, "main."):
			return fmt.Sprintf("%s:%d", frame.File[strings.LastIndexByte(frame.File, '/')+1:], frame.Line), false
		}
		if !more {
			return "something", true
		}
	}
}
