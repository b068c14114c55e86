//go:build unix && !linux

package testkit

import "testing"

// ACL skips the test: only Linux takes such a list as an attribute of a file.
func ACL(t testing.TB, _ string, _ uint32, _ uint16) {
	t.Helper()
	t.Skip("no access control lists that a test can set here")
}
