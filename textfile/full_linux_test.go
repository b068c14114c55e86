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
	want = strings.Replace(want, "/"+nextName, "", 1)
	if err := Check(folder, nil); err == nil || err.Error() != want {
		t.Errorf("a read-only disk, checked: %v", err)
	}
	must(t, unix.Mount("tmpfs", folder, "tmpfs", unix.MS_REMOUNT, ""), f.write(page("other")))
	if read(t, name) != "other" {
		t.Errorf("it holds %s", read(t, name))
	}
	must(t, os.Chmod(folder, 0o700))
}

// A pipe, which would be waited for, is not opened.
func TestPipe(t *testing.T) {
	folder := t.TempDir()
	must(t, unix.Mkfifo(filepath.Join(folder, fileName), 0o600))
	f := newFile(folder, nil)
	want := "write " + folder + "/" + fileName + ": is not a regular file (see what it is, and move it away)"
	if err := f.write(page("a")); err == nil || explain(err).Error() != want {
		t.Errorf("%v", explain(err))
	}
	must(t, os.Remove(filepath.Join(folder, fileName)), unix.Mkfifo(filepath.Join(folder, nextName), 0o600), f.write(page("a")))
	if got := entries(t, folder); got != fileName {
		t.Errorf("the folder has %s", got)
	}
}

// The file is for node_exporter's account too, whatever umask a unit sets.
func TestUmask(t *testing.T) {
	was := unix.Umask(0o077)
	defer unix.Umask(was)
	f := newFile(t.TempDir(), nil)
	must(t, f.write(page("a")))
	if mode := stat(t, path(f.folder)).Mode(); mode != 0o644 {
		t.Errorf("its mode is %v", mode)
	}
}
