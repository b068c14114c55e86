package textfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/fsx/fsxtest"
)

// TestFull: on a full or read-only disk the last page stays whole, nothing else is left,
// and the file is written when there is room.
func TestFull(t *testing.T) {
	folder := fsxtest.SmallDisk(t, "256k")
	name := filepath.Join(folder, fileName)
	f := newFile(folder, nil)
	must(t, f.write(page("small")))
	if err := f.write(page(strings.Repeat("x", 1<<20))); err == nil || explain(err).Error() != "write "+folder+"/"+nextName+": no space left on device" {
		t.Errorf("a full disk: %v", err)
	}
	if read(t, name) != "small" || entries(t, folder) != fileName {
		t.Errorf("there is %q", entries(t, folder))
	}
	must(t, unix.Mount("tmpfs", folder, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	want := "open " + folder + "/" + nextName + ": read-only file system (in a systemd unit with ProtectSystem=, name the folder by ReadWritePaths=)"
	if err := f.write(page("other")); err == nil || explain(err).Error() != want {
		t.Errorf("a read-only disk: %v", explain(err))
	}
	must(t, unix.Mount("tmpfs", folder, "tmpfs", unix.MS_REMOUNT, ""), f.write(page("other")))
	if read(t, name) != "other" {
		t.Errorf("it holds %s", read(t, name))
	}
	must(t, os.Chmod(folder, 0o700))
}
