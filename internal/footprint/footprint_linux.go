package footprint

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unmapProgram takes the pages of the program's file out of this process that nobody
// can have written to. What goes wrong leaves them where they are.
func unmapProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for _, m := range unwritable(string(maps), program) {
		// Not unix.Madvise, which wants a slice: no memory of Go's begins there.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// mapping is a stretch of the address space.
type mapping struct{ from, to uintptr }

// unwritable gives the mappings of a file that cannot be written to, out of a text as
// in /proc/PID/maps:
//
//	00400000-00d7f000 r-xp 00000000 fe:00 10037747    /usr/bin/scriptbridge
func unwritable(maps, file string) (all []mapping) {
	for line := range strings.Lines(maps) {
		line = strings.TrimSuffix(line, "\n")
		where, rest, _ := strings.Cut(line, " ")
		rights, rest, _ := strings.Cut(rest, " ")
		slash := strings.IndexByte(rest, '/')
		if slash < 0 || rest[slash:] != file || rights != "r-xp" && rights != "r--p" {
			continue
		}
		first, last, _ := strings.Cut(where, "-")
		from, err1 := strconv.ParseUint(first, 16, strconv.IntSize)
		to, err2 := strconv.ParseUint(last, 16, strconv.IntSize)
		if err1 == nil && err2 == nil && from < to {
			all = append(all, mapping{uintptr(from), uintptr(to)})
		}
	}
	return all
}
