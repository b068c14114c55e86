// Package joined takes errors apart that errors.Join has put together.
package joined

import "strings"

// Split gives the errors that are joined in err, and in these, in order; none of
// nil. An error that wraps several in a sentence of its own, as fmt.Errorf makes
// it, stays whole.
func Split(err error) []error {
	if err == nil {
		return nil
	}
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	var texts []string
	for _, e := range several.Unwrap() {
		if e == nil {
			continue
		}
		all = append(all, Split(e)...)
		texts = append(texts, e.Error())
	}
	if err.Error() != strings.Join(texts, "\n") {
		return []error{err}
	}
	return all
}
