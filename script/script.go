// Package script runs other people's monitoring scripts and makes record
// batches of what they print, whichever dialect they speak.
//
// load.go and resolve.go make the set of scripts of a configuration. pool.go
// keeps a worker for each: worker.go waits for the slots of schedule.go, run.go
// runs it and tries again, keep.go keeps one alive that does not end, probe.go runs it for a request.
// command.go makes the command of a run, unpack.go the files that a dialect
// brings. judge.go decides what a run was worth, after overrides.go has applied
// the operator's metrics. log.go bounds what a script adds to the log; view.go
// has what pages show. guess.go, hint.go and missing.go look for why a script
// does not do what was meant.
package script

import (
	"scriptbridge/internal/crontab"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

// Script is one script, configured or discovered, with everything resolved
// that follows from the configuration.
type Script struct {
	dialect.Script
	Dialect string // its name
	Source  *record.Source
	// AsRoot has Check say what would be wrong if root ran it.
	AsRoot bool

	dialect   dialect.Dialect
	table     dialect.Table // that dialect is of
	newRunner dialect.New
	aligned   bool              // dialect.Traits.Aligned
	kept      bool              // its Runner is a Keeper
	cron      *crontab.Schedule // nil: it runs at an interval
	// version is that of File, of a script that is kept alive and so does not
	// see by itself that the file has changed.
	version    fileVersion
	envVersion fileVersion // of EnvFile, likewise
	inputs     string      // digest of what a kept script is given besides; see InputDigester
	// fingerprint is kept by Fingerprint, once it has been asked for.
	fingerprint string
}
