package process

// atTerminal: Ctrl-C reaches all processes of a console, and there is no other
// way to send one.
func atTerminal() bool { return true }
