package footprint

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// What goes wrong with a line costs that line alone; writable pages and those of other
// files stay.
func TestUnwritable(t *testing.T) {
	got := unwritable(`00400000-00d7f000 r-xp 00000000 fe:00 10037747                           /usr/bin/scriptbridge
00d7f000-017f0000 r--p 0097f000 fe:00 10037747                           /usr/bin/scriptbridge
017f0000-01885000 rw-p 013f0000 fe:00 10037747                           /usr/bin/scriptbridge
01885000-038d1000 rw-p 00000000 00:00 0 
7f0000000000-7f0000001000 r-xp 00000000 fe:00 3                          /usr/bin/scriptbridge (deleted)
7f0000001000-7f0000002000 r-xp 00000000 fe:00 3                          /lib/x/usr/bin/scriptbridge
7f0000002000-7f0000003000 r--s 00000000 fe:00 3                          /usr/bin/scriptbridge
xyz-7f0000003000 r-xp 00000000 fe:00 3                          /usr/bin/scriptbridge
7f0000004000-7f0000003000 r-xp 00000000 fe:00 3                          /usr/bin/scriptbridge
7f470df0d000-7f470df0f000 r-xp 00000000 00:00 0                          [vdso]
`, "/usr/bin/scriptbridge")
	if want := []mapping{{0x400000, 0xd7f000}, {0xd7f000, 0x17f0000}}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// What is given back is less in memory, and what needs it goes on.
func TestRelease(t *testing.T) {
	touch()
	before := ofFiles(t)
	Release()
	if after := ofFiles(t); after >= before {
		t.Errorf("%d kB of files are in memory, %d before", after, before)
	}
	touch()
}

// touch has pages of the program in memory.
func touch() { regexp.MustCompile(`(a|b)+c{2,5}`).MatchString("ababcc") }

// ofFiles is how much of the program's file is in memory, in kB.
func ofFiles(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`RssFile:\s*(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no RssFile:\n%s", status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
