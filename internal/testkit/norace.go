//go:build !race

package testkit

// Race says that the race detector is on, which needs more memory than some tests
// allow.
const Race = false
