package status

import (
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/receive"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/upload"
)

// State is how a script, a receiver or an upload is, in one word.
type State string

// The states of a script, those that want looking at first.
const (
	Failing   State = "failing"  // its last run failed; of an upload: sending fails
	Critical  State = "critical" // it works, and reports CRITICAL, as Nagios plugins do
	Warning   State = "warning"  // likewise WARNING
	Unknown   State = "unknown"  // likewise UNKNOWN
	OK        State = "ok"
	NotYetRun State = "not_yet_run"
	OnRequest State = "on_request" // it runs only when it is probed
	Disabled  State = "disabled"   // it does not run, since its configuration or it itself says so
)

// The other states of receivers and uploads.
const (
	Open    State = "open"
	Opening State = "opening"
	Down    State = "down"
)

// States lists all states of a script in the order of their declaration.
func States() []State {
	return []State{Failing, Critical, Warning, Unknown, OK, NotYetRun, OnRequest, Disabled}
}

// Words is the state for people.
func (s State) Words() string { return strings.ReplaceAll(string(s), "_", " ") }

// Severity says how bad something is: of several the highest is that of all. Its
// numbers are exit codes of a Nagios plugin.
type Severity int

// The severities.
const (
	Fine  Severity = iota
	Minor          // it wants looking at
	Major          // it does not work, or says that something does not
)

// Severity is that of the state. One that a later version may have, and this does
// not know, is not taken for a good one.
func (s State) Severity() Severity {
	switch s {
	case Failing, Critical, Down:
		return Major
	case OK, NotYetRun, OnRequest, Disabled, Open, Opening:
		return Fine
	}
	return Minor
}

// OfScript is a script's state.
func OfScript(v *script.View) State {
	switch {
	case v.State == script.Disabled:
		return Disabled
	case v.Last == nil && v.Script.ProbeOnly():
		return OnRequest
	case v.Last == nil:
		return NotYetRun
	}
	return OfRun(v.Last)
}

// OfRun is the state that a run has shown.
func OfRun(v *script.Verdict) State {
	switch {
	case v.Result != record.OK:
		return Failing
	case v.Answer == nil:
		return OK
	}
	return State(strings.ToLower(v.Answer.State))
}

// OfReceiver is a receiver's state.
func OfReceiver(v *receive.View) State {
	switch {
	case v.Up:
		return Open
	case v.Error == "":
		return Opening
	}
	return Down
}

// OfUpload is an upload's state.
func OfUpload(v *upload.State) State {
	switch {
	case v.Opening:
		return Opening
	case v.Error != "":
		return Failing
	}
	return OK
}

// Cause says in our own words why a run failed, without a word of the script's:
// everybody may read it. It is empty for a run that went well.
func Cause(v *script.Verdict, timeout time.Duration) string {
	switch {
	case v.Result == record.OK:
		return ""
	case v.Result == record.Timeout:
		return "ran longer than its timeout of " + texts.Span(timeout)
	case v.Result == record.Killed:
		return "ended by a signal, or for too much output"
	case v.Result == record.Limit:
		return "reached a limit: " + v.Limit
	case v.Result == record.Invalid && v.Samples > 0: // of some files in a folder
		return "some of it cannot be used"
	case v.Result == record.Invalid:
		return "what it printed could not be read"
	case v.ExitCode > 0:
		return "exit code " + strconv.Itoa(v.ExitCode)
	case v.ExitCode < 0:
		return "could not be run"
	}
	return "failed"
}

// CauseOfReceiver is Cause for a receiver; empty while nothing is wrong.
func CauseOfReceiver(v *receive.View) string {
	switch {
	case v.Error == "":
		return ""
	case v.Up:
		return "something went wrong with the last batch"
	}
	return "it cannot be opened and is retried; the log says why"
}

// CauseOfUpload is Cause for an upload.
func CauseOfUpload(v *upload.State) string {
	switch {
	case v.Opening:
		return "its spool is being checked; what is to be sent waits for that"
	case v.Error != "":
		return "sending fails and is retried; the log says why"
	}
	return ""
}

// ErrorOf is why a run failed, in the words of the script and of the system. It
// is private.
func ErrorOf(v *script.Verdict) string {
	switch {
	case v.Result == record.OK:
		return ""
	case v.Err == nil:
		return string(v.Result)
	}
	return v.Err.Error()
}
