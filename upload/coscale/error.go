package coscale

import (
	"context"
	"errors"
	"net/http"

	api "scriptbridge/coscale"
)

// outageError ends a pass: nothing else would fare better.
type outageError struct{ error }

func (e *outageError) Unwrap() error { return e.error }

// general says whether an error is of the whole, and not of what was sent.
func general(err error) bool {
	if none, ok := errors.AsType[*api.NoAnswerError](err); ok {
		return none.Unsaid
	}
	status, ok := errors.AsType[*api.StatusError](err)
	if !ok {
		return false
	}
	switch status.Status {
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusProxyAuthRequired:
		return true
	}
	return status.Login
}

// busy says whether the server wants to be left alone for a while: as a whole, as
// it seems.
func busy(err error) bool {
	status, ok := errors.AsType[*api.StatusError](err)
	return ok && status.RetryAfter > 0
}

// ofServer says whether an error is of the other end, and not of our disk.
func ofServer(err error) bool {
	var none *api.NoAnswerError
	var status *api.StatusError
	var some *api.RefusedError
	return errors.As(err, &none) || errors.As(err, &status) || errors.As(err, &some)
}

// timedOut says whether a request has had its time, and no answer.
func timedOut(err error) bool {
	var none *api.NoAnswerError
	var late interface{ Timeout() bool }
	return errors.As(err, &none) && errors.As(none.Err, &late) && late.Timeout()
}

// refusal says whether an answer is the API's own and final word.
func refusal(err error) bool {
	if _, ok := errors.AsType[*api.RefusedError](err); ok {
		return true
	}
	status, ok := errors.AsType[*api.StatusError](err)
	if !ok || status.Foreign || status.Login || status.Status < 400 || status.Status > 499 {
		return false
	}
	switch status.Status {
	case http.StatusNotFound: // see forget
		return false
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return true
}

// busyMost is for how many passes in a row nothing else is tried when the server
// says that it is busy: perhaps it says so of one thing alone.
const busyMost = 3

// ends gives the error with which the pass ends; nil when it is of what was sent.
func (p *pass) ends(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case general(err), busy(err) && p.u.row < busyMost:
		return &outageError{err}
	case ofServer(err):
		if timedOut(err) && !p.told { // there may be many of these before the pass ends
			p.told = true
			p.u.spool.Failed(err)
		}
		return nil
	}
	return err
}

func isConflict(err error) bool {
	status, ok := errors.AsType[*api.StatusError](err)
	return ok && !status.Login && !status.Foreign && status.Status == http.StatusConflict
}

func isNotFound(err error) bool {
	status, ok := errors.AsType[*api.StatusError](err)
	return ok && !status.Foreign && status.Status == http.StatusNotFound
}

func isLoop(err error) bool {
	status, ok := errors.AsType[*api.StatusError](err)
	return ok && !status.Login && !status.Foreign && status.Type == api.LoopType
}
