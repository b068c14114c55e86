//go:build !windows

package texts

// FromConsole gives a text as it is: there are no code pages here.
func FromConsole(text []byte) []byte { return text }
