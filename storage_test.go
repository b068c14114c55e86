package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/fsx/fsxtest"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
)

func testStorage(t *testing.T, folder string) *storage {
	t.Helper()
	s, err := openStorage(fsx.OS{}, folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func memoryOf(s *storage, name string, most int64) *memoryFile {
	return s.memory(&script.Script{Script: dialect.Script{Script: &config.Script{Name: name, Settings: config.Settings{MaxOutput: most}}}}).(*memoryFile)
}

func TestMemory(t *testing.T) {
	s := testStorage(t, filepath.Join(t.TempDir(), "new", "state"))
	for _, name := range []string{"a", "A", "../../etc/passwd", "größe", "con", strings.Repeat("long ", 50), ".hidden"} {
		m := memoryOf(s, name, 100)
		if data, err := m.Load(); data != nil || err != nil {
			t.Errorf("%q, nothing saved: %q, %v", name, data, err)
		}
		for _, want := range []string{"first " + name, "", "a\nb\n", "\xff\x00"} {
			if err := m.Save([]byte(want)); err != nil {
				t.Fatal(err)
			}
			if got, err := memoryOf(s, name, 100).Load(); string(got) != want || got == nil || err != nil {
				t.Errorf("%q: %q, %v, want %q", name, got, err, want)
			}
		}
		if dir, file := filepath.Split(m.path); dir != filepath.Join(s.folder, "scripts")+string(filepath.Separator) || len(file) > 100 {
			t.Errorf("%q is kept in %s", name, m.path)
		}
	}
	files, err := os.ReadDir(filepath.Join(s.folder, "scripts"))
	if err != nil || len(files) != 7 {
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if info, _ := f.Info(); runtime.GOOS != "windows" && info.Mode() != 0o600 || strings.HasSuffix(f.Name(), ".tmp") {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
}

// A file that is damaged, too large or another's costs that memory alone.
func TestMemoryDamage(t *testing.T) {
	s := testStorage(t, t.TempDir())
	m, other := memoryOf(s, "a", 100), memoryOf(s, "b", 100)
	data := []byte("what a script printed\n")
	for _, one := range []*memoryFile{m, other} {
		if err := one.Save(data); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(m.path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := m.path + ` is damaged, or not of script "a"`
	check := func(text []byte, want string) {
		t.Helper()
		if err := os.WriteFile(m.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := m.Load(); got != nil || err == nil || err.Error() != want {
			t.Errorf("%.40q: %.40q, %v, want %s", text, got, err, want)
		}
	}
	for cut := range good {
		check(good[:cut], damaged)
		flipped := bytes.Clone(good)
		flipped[cut] ^= 1
		check(flipped, damaged)
	}
	foreign, err := os.ReadFile(other.path)
	if err != nil {
		t.Fatal(err)
	}
	check(foreign, damaged)
	check(bytes.Repeat([]byte("x"), 100+memoryOverhead+1), m.path+" is larger than max_output allows")
	if got, err := other.Load(); !bytes.Equal(got, data) || err != nil {
		t.Errorf("the other's: %q, %v", got, err)
	}
	if err := m.Save(data); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Load(); !bytes.Equal(got, data) || err != nil {
		t.Errorf("saved again: %q, %v", got, err)
	}
}

// A Save that fails leaves what was there, and says so.
func TestMemorySaveFails(t *testing.T) {
	s := testStorage(t, t.TempDir())
	m := memoryOf(s, "a", 100)
	if err := m.Save([]byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(m.path+".tmp", 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	if err := m.Save([]byte("new")); err == nil {
		t.Error("saved in spite of it")
	}
	if got, err := m.Load(); string(got) != "old" || err != nil {
		t.Errorf("then: %q, %v", got, err)
	}
}

func TestStorageIsOnes(t *testing.T) {
	synctest.Test(t, testStorageIsOnes)
}

func testStorageIsOnes(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	first := testStorage(t, folder)
	want := fmt.Sprintf("storage %s: another scriptbridge (pid %d) uses it: stop that one, or give this one another --storage.path", folder, os.Getpid())
	if _, err := openStorage(fsx.OS{}, folder, nil); err == nil || err.Error() != want {
		t.Errorf("a second one: %v, want %s", err, want)
	}
	first.close()
	testStorage(t, folder)
	info, err := os.Stat(folder)
	if err != nil || info.Mode().Perm() != 0o700 && runtime.GOOS != "windows" { // where lists say so
		t.Errorf("made as %v, %v", info.Mode(), err)
	}
}

// TestStorageWaits: who has the folder may be about to end.
func TestStorageWaits(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		first := testStorage(t, folder)
		time.AfterFunc(lockPatience/2, first.close)
		begun := time.Now()
		second, err := openStorage(fsx.OS{}, folder, nil)
		if err != nil {
			t.Fatal(err)
		}
		second.close()
		if waited := time.Since(begun); waited < lockPatience/2 || waited >= lockPatience {
			t.Errorf("it waited %v", waited)
		}
	})
}

func TestStorageOfOthers(t *testing.T) {
	if runtime.GOOS != "windows" { // see TestStorageContents there
		testStorageMode(t)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openStorage(fsx.OS{}, file, nil); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file: %v", err)
	}
}

func testStorageMode(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.Chmod(folder, 0o770)); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("storage %s: others may write it (mode drwxrwx---): the folder must be for scriptbridge alone, and one that is missing is made so", folder)
	if _, err := openStorage(fsx.OS{}, folder, nil); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if files, _ := os.ReadDir(folder); len(files) > 0 {
		t.Errorf("something was made in it: %v", files)
	}
}

func TestMemoryName(t *testing.T) {
	got := []string{memoryName("s"), memoryName("we ird@näme"), memoryName(strings.Repeat("x", 100))}
	want := []string{"s-043a718774c572bd", "we_ird_n_me-", strings.Repeat("x", 60) + "-"}
	got[1], got[2] = got[1][:len(got[1])-16], got[2][:len(got[2])-16]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A receiver's folder is made for its owner alone, and refused when others may
// write it.
func TestStorageReceiver(t *testing.T) {
	s := testStorage(t, filepath.Join(t.TempDir(), "state"))
	folder, err := s.receiver("coscale")
	if want := filepath.Join(s.folder, "receivers", "coscale"); err != nil || folder != want {
		t.Fatalf("%q, %v, want %q", folder, err, want)
	}
	if runtime.GOOS == "windows" {
		return // there are no modes
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	want := folder + ": others may write it (mode drwxrwxrwx): the folder must be for scriptbridge alone, and one that is missing is made so"
	if _, err := s.receiver("coscale"); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// What Save has said is safe outlives a loss of power, old or new: never nothing,
// and never half of it.
func TestMemoryIsDurable(t *testing.T) {
	disk := fsxtest.NewDisk(t.TempDir())
	m := memoryOf(testStorage(t, t.TempDir()), "a", 100)
	m.disk = disk
	for _, text := range []string{"first", "second, which is longer", "3"} {
		if err := m.Save([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := disk.Crash(); err != nil {
			t.Fatal(err)
		}
		if data, err := m.Load(); err != nil || string(data) != text {
			t.Errorf("after a loss of power: %q, %v; %q was saved", data, err, text)
		}
	}
}

// TestFoldersAreDurable: what is safe in a folder is lost with the folder's own
// name, whichever process made that, and however deep it lies.
func TestFoldersAreDurable(t *testing.T) {
	above := t.TempDir()
	disk := fsxtest.NewDisk(t.TempDir())
	root := filepath.Join(above, "var", "lib", "bridge")
	open := func() *storage {
		t.Helper()
		s, err := openStorage(disk, root, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	folders := map[string]func(s *storage) (string, error){
		"scripts":          func(s *storage) (string, error) { return filepath.Join(s.folder, "scripts"), nil },
		"receivers/statsd": func(s *storage) (string, error) { return s.receiver("statsd") },
		"uploads": func(s *storage) (string, error) {
			path, err := s.upload("coscale")
			return filepath.Dir(path), err
		},
	}
	keep := func(s *storage) {
		t.Helper()
		for name, of := range folders {
			folder, err := of(s)
			if err == nil {
				err = fsx.WriteFile(disk, filepath.Join(folder, "acknowledged"), []byte(name))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.bridgeName(); err != nil {
			t.Fatal(err)
		}
		s.close()
	}
	check := func(what string) {
		t.Helper()
		if err := disk.Crash(); err != nil {
			t.Fatal(err)
		}
		for name := range folders {
			if got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name), "acknowledged")); err != nil || string(got) != name {
				t.Errorf("%s: %q, %v", what, got, err)
			}
		}
		if _, err := os.Stat(filepath.Join(root, "bridge")); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	keep(open())
	check("made by itself")

	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	open().close()
	for _, name := range []string{"receivers", "receivers/statsd", "uploads"} { // by one that was killed at once
		if err := disk.Mkdir(filepath.Join(root, filepath.FromSlash(name)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	keep(open())
	check("made by another")
}

// TestStorageHeld: a folder that is elsewhere, or another's by now, is not used;
// when it is back, it is. A lock that somebody has removed is taken again.
func TestStorageHeld(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	s := testStorage(t, folder)
	m := memoryOf(s, "a", 100)
	uses := map[string]func() error{
		"Save":     func() error { return m.Save([]byte("kept")) },
		"Load":     func() error { _, err := m.Load(); return err },
		"receiver": func() error { _, err := s.receiver("coscale"); return err },
		"upload":   func() error { _, err := s.upload("coscale"); return err },
	}
	check := func(what, want string) {
		t.Helper()
		for name, use := range uses {
			got := ""
			if err := use(); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s, %s: %s, want %s", what, name, got, want)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check("at first", "")
	moved := "storage " + folder + ": " + folder + ": the folder was moved away, removed or replaced while it was in use: move it back, or restart scriptbridge to go on with what is there then"
	if runtime.GOOS == "windows" { // where nothing that is in use is moved
		if os.Rename(folder, folder+".away") == nil {
			t.Error("a folder in use was moved")
		}
		return
	}
	must(os.Rename(folder, folder+".away"))
	check("it is moved", moved)
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was made anew, so that it cannot be moved back: %v", err)
	}
	other := testStorage(t, folder)
	check("it is another's", moved)
	if err := memoryOf(other, "a", 100).Save([]byte("the other's")); err != nil {
		t.Error(err)
	}
	other.close()
	must(os.RemoveAll(folder))
	must(os.Rename(folder+".away", folder))
	check("it is back", "")

	must(os.Remove(filepath.Join(folder, "lock")))
	check("the lock is removed", "")
	synctest.Test(t, func(t *testing.T) {
		want := fmt.Sprintf("storage %s: another scriptbridge (pid %d) uses it: stop that one, or give this one another --storage.path", folder, os.Getpid())
		if _, err := openStorage(fsx.OS{}, folder, nil); err == nil || err.Error() != want {
			t.Errorf("a second one then: %v, want %s", err, want)
		}
	})
	must(os.Remove(filepath.Join(folder, "lock")))
	testStorage(t, folder) // a second one comes first
	check("the lock is another's", fmt.Sprintf("storage %s: another scriptbridge (pid %d) uses it: stop that one, or give this one another --storage.path", folder, os.Getpid()))
}

// TestMemoryNewer: what a newer version keeps is left as it is.
func TestMemoryNewer(t *testing.T) {
	m := memoryOf(testStorage(t, t.TempDir()), "a", 100)
	text := "scriptbridge memory 2 whatever comes\nthen"
	if err := os.WriteFile(m.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := m.path + `: a newer version of scriptbridge wrote it, in the format "2"; this one knows "1": go back to that version, or move the file away yourself`
	if _, err := m.Load(); err == nil || err.Error() != want {
		t.Errorf("Load: %v, want %s", err, want)
	}
	if err := m.Save([]byte("x")); err == nil || err.Error() != want {
		t.Errorf("Save: %v, want %s", err, want)
	}
	if now, err := os.ReadFile(m.path); err != nil || string(now) != text {
		t.Errorf("it is %q, %v", now, err)
	}
	for _, damaged := range []string{"scriptbridge memory ", "scriptbridge memory x y", "scriptbridge memory 99999 y", "something else"} {
		if err := os.WriteFile(m.path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.Save([]byte("x")); err != nil {
			t.Errorf("%q: %v", damaged, err)
		}
	}
}

// TestMemorySilent: a disk that neither writes nor fails does not stop a script.
func TestMemorySilent(t *testing.T) {
	s := testStorage(t, t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		disk := new(fsxtest.Silent)
		m := memoryOf(s, "a", 100)
		m.disk = disk
		disk.Hush()
		began := time.Now()
		want := m.path + ": the disk does not answer"
		for i := range 3 { // a turn each
			if err := m.Save(fmt.Append(nil, i)); err == nil || err.Error() != want {
				t.Errorf("Save: %v, want %s", err, want)
			}
		}
		if _, err := m.Load(); err == nil || err.Error() != want {
			t.Errorf("Load: %v, want %s", err, want)
		}
		if took := time.Since(began); took != fsx.Patience {
			t.Errorf("it took %v", took)
		}
		disk.Answer()
		synctest.Wait()
		if err := m.Save([]byte("kept")); err != nil {
			t.Error(err)
		}
		if data, err := m.Load(); err != nil || string(data) != "kept" {
			t.Errorf("%q, %v", data, err)
		}
	})
}
