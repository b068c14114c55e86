package yamltree

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong in a file. Its text is one line:
//
//	scriptbridge.yml:12: scripts[2] "disks": interval 0s is too short (write 1s or more)
//
// What is no YAML has the column behind the line.
//
// Entries of a list are counted from 0, file by file.
type Error struct {
	Position        // an empty File, a Line of 0: left out of the text
	Thing    string // what the problem is about; may be empty
	Problem  string
	Remedy   string // may be empty
	Cause    error  // what Problem was made of; nil for nothing
	Column   int    // from 1; 0 where the line says enough
	// What shows the file's own text is no part of the error's: a log has other
	// readers than the file. See WithExcerpts.
	Quoted  string // what Remedy ends with, if not empty
	Excerpt string // the line with a mark beneath it, if not empty
}

// Error gives file, line, thing, problem and remedy.
func (e *Error) Error() string { return e.text(e.Remedy) }

func (e *Error) text(remedy string) string {
	var where string
	if e.File != "" {
		where = e.Position.String()
		if e.Line > 0 && e.Column > 0 {
			where += fmt.Sprintf(":%d", e.Column)
		}
	}
	text := before(where, e.Thing) + e.Problem
	if remedy != "" {
		text += " (" + remedy + ")"
	}
	// What a file spells may have line ends in it, an alias's name among them.
	return strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(text)
}

// before is what stands before the text of an error: where, and of what thing it
// is.
func before(where, thing string) (text string) {
	for _, part := range []string{where, thing} {
		if part != "" {
			text += part + ": "
		}
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Position is where a thing stands, for messages.
type Position struct {
	File string
	Line int
}

// String gives file:line, or the file alone where there is no line.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Wrap says of err, whose lines stay what they are, that it is of a thing here.
func (p Position) Wrap(thing string, err error) error { return &Located{p, thing, err} }

// Located is an error, whose lines stay what they are, of a thing that stands
// somewhere.
type Located struct {
	Position
	Thing string
	Err   error
}

// Error gives file, line, thing, and the error's own text.
func (l *Located) Error() string { return before(l.Position.String(), l.Thing) + l.Err.Error() }

// Unwrap gives the error itself.
func (l *Located) Unwrap() error { return l.Err }

// Report collects the errors of one or more files, and what is odd in them.
type Report struct {
	Errs     []*Error
	Warnings []error
}

// Warn adds a warning about a thing, which may be empty.
func (r *Report) Warn(at Position, thing, remedy, format string, args ...any) {
	r.Warnings = append(r.Warnings, &Error{Position: at, Thing: thing, Problem: fmt.Sprintf(format, args...), Remedy: remedy})
}

// Join gives all errors as one, by file in the order of files, then by line;
// nil when there are none.
func (r *Report) Join(files []string) error {
	slices.SortStableFunc(r.Errs, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)),
			cmp.Compare(a.Line, b.Line),
		)
	})
	all := make([]error, len(r.Errs))
	for i, e := range r.Errs {
		all[i] = e
	}
	return errors.Join(all...)
}
