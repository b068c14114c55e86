// Package winjob starts programs on Windows, each as the first process of a job
// object: what it starts is in the job too, and all that is in a job ends by one call,
// or with the last handle of the job, which nobody but this process has.
//
// job_windows.go has the job, start_windows.go what a process is started with. On
// other systems there is nothing here but this file.
package winjob

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode/utf16"
)

// MessageVariable is the environment variable that tells a process the number of the
// handle to which it writes messages, in decimal: what is descriptor 3 elsewhere.
const MessageVariable = "SCRIPTBRIDGE_MESSAGE_HANDLE"

// environmentBlock gives NAME=VALUE strings as a process is given them on Windows: in
// UTF-16, sorted by name, and each name once, whatever its case. A later one wins.
func environmentBlock(env []string) ([]uint16, error) {
	type variable struct{ name, text string }
	var all []variable
	for _, text := range slices.Backward(env) {
		if strings.IndexByte(text, 0) >= 0 {
			return nil, errors.New("a variable of its environment has a NUL character in it")
		}
		// The folder of each drive has a name that begins with =.
		at := strings.IndexByte(text[min(1, len(text)):], '=')
		if at < 0 {
			continue
		}
		all = append(all, variable{strings.ToUpper(text[:at+1]), text})
	}
	slices.SortStableFunc(all, func(a, b variable) int { return cmp.Compare(a.name, b.name) })
	all = slices.CompactFunc(all, func(a, b variable) bool { return a.name == b.name })
	var block []uint16
	for _, v := range all {
		block = append(append(block, utf16.Encode([]rune(v.text))...), 0)
	}
	if len(all) == 0 {
		block = append(block, 0)
	}
	return append(block, 0), nil
}
