package record

import "errors"

// LineError is one line, or one declared thing, that could not be read. Sinks
// count it by Reason; people read Err.
type LineError struct {
	Line   int    // from 1; 0 when it is not about a line
	Text   string // the line as it came, or the item of it that is meant
	Reason string // a word for the label reason, such as "undeclared"
	Err    error
	// More is how many further lines it stands for, where a source refuses
	// more than it is worth to keep.
	More int
}

// Error gives the text for people; the line's own text is not in it.
func (e *LineError) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *LineError) Unwrap() error { return e.Err }

// LineErrors finds every LineError in a tree of joined errors, in order.
func LineErrors(err error) []*LineError {
	if err == nil {
		return nil
	}
	if le, ok := err.(*LineError); ok {
		return []*LineError{le}
	}
	switch u := err.(type) {
	case interface{ Unwrap() []error }:
		var all []*LineError
		for _, e := range u.Unwrap() {
			all = append(all, LineErrors(e)...)
		}
		return all
	case interface{ Unwrap() error }:
		return LineErrors(u.Unwrap())
	}
	return nil
}

// WithoutLines is what remains of a tree of joined errors when its LineErrors
// are taken out: why a whole turn failed; nil when only lines were at fault.
func WithoutLines(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*LineError); ok {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(LineErrors(err)) == 0 {
		return err
	}
	var rest []error
	for _, e := range joined.Unwrap() {
		rest = append(rest, WithoutLines(e))
	}
	return errors.Join(rest...)
}
