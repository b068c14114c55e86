//go:build unix && !linux

package trust

// hasACL is known on Linux only.
func hasACL(string) bool { return false }
