package config

import (
	"errors"

	"scriptbridge/internal/panics"
)

// Guarded does something for a configuration. A panic is an error that names
// the file: none of ours may be the end of a bridge at work.
func Guarded[T any](file string, do func() (T, error)) (result T, err error) {
	err = panics.Try(func() (err error) {
		result, err = do()
		return err
	})
	if fault := (*panics.Error)(nil); errors.As(err, &fault) {
		if located := (*Error)(nil); !errors.As(err, &located) {
			err = &Error{Position: Position{File: file}, Problem: err.Error(), Cause: err}
		}
	}
	return result, err
}
