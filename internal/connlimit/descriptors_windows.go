package connlimit

// descriptors is how many connections the program may have open: there is no limit of
// which one need think.
func descriptors() int { return most * share }
