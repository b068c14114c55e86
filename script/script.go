// Package script runs other people's monitoring scripts and makes record
// batches of what they print, whichever dialect they speak. resolve.go makes the
// set of scripts of a configuration; pool.go, unit.go and schedule.go decide when
// one runs, judge.go what a run was worth.
package script

import (
	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

// Script is one script, configured or discovered, with everything settled
// that the configuration can settle.
type Script struct {
	dialect.Script
	Dialect string // its name
	Source  *record.Source
	// AsRoot has Check say what would be wrong if root ran it.
	AsRoot bool

	dialect   dialect.Dialect
	traits    dialect.Traits // of dialect
	table     dialect.Table  // that dialect is of
	newRunner dialect.New
	kept      bool // its Runner is a Keeper
	// version is that of File, of a script that is kept alive and so does not
	// see by itself that the file has changed.
	version fileVersion
	inputs  string // digest of what a kept script is given besides; see InputDigester
}
