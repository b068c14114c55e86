package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/testkit"
)

var testOptions = Options{About: "about", Format: "1", Buckets: []string{"rows"}}

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// fill puts rows.
func fill(t testing.TB, f *File, rows int) {
	t.Helper()
	if err := f.Update(func(tx *bolt.Tx) error {
		for i := range rows {
			if err := tx.Bucket([]byte("rows")).Put(fmt.Appendf(nil, "%06d", i), bytes.Repeat([]byte("x"), 500)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// broken are files that nobody can use, made of a good one.
func broken(good []byte) map[string][]byte {
	first := bytes.Clone(good)
	clear(first[:8192])
	list := bytes.Clone(good) // of free pages: bbolt panics while it opens such a file
	for at := 8192; at < len(list); at += 4096 {
		if native.Uint16(list[at+8:]) == freelistPage {
			clear(list[at : at+4096])
		}
	}
	return map[string][]byte{
		"text": []byte("this is no file of bbolt"), "no metas": first, "no free pages": list, "half": good[:len(good)/8192*4096],
		"metas alone": good[:8192], "noise": bytes.Repeat([]byte{0xa5, 0x17, 3}, 20000),
	}
}

// TestOpenLetsGo: an opening that fails keeps nothing of the file, and one that was
// put right in place is taken at the next try.
func TestOpenLetsGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	f := open(t, path)
	fill(t, f, 200)
	f.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range broken(good) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, testOptions); !errors.Is(err, ErrDamaged) || !strings.HasPrefix(err.Error(), path+": the file is damaged: ") {
			t.Errorf("%s: %v", what, err)
		}
		if left := testkit.Held(t, path); len(left) > 0 {
			t.Errorf("%s: it still has %q", what, left)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, text) {
			t.Errorf("%s: the file was changed, %v", what, err)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, testOptions)
		if err != nil {
			t.Fatalf("%s, and then put right: %v", what, err)
		}
		f.Close()
	}
}

func TestOpenInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	f := open(t, path)
	if _, err := Open(path, testOptions); !errors.Is(err, ErrInUse) || err.Error() != path+": another process uses it" {
		t.Errorf("%v", err)
	}
	f.Close()
	open(t, path).Close()
	if err := f.View(func(*bolt.Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestNewer: what a newer version wrote is left as it is, with what to do.
func TestNewer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	made := func(format, version string, more ...string) []byte {
		t.Helper()
		os.Remove(path)
		f := open(t, path)
		fill(t, f, 10)
		if err := f.Update(func(tx *bolt.Tx) error {
			for _, name := range more {
				if _, err := tx.CreateBucket([]byte(name)); err != nil {
					return err
				}
			}
			b := tx.Bucket([]byte("about"))
			return errors.Join(b.Put(formatKey, []byte(format)), b.Put(versionKey, []byte(version)))
		}); err != nil {
			t.Fatal(err)
		}
		f.Close()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	bbolt3 := func(metas ...int) []byte {
		text := made("1", "")
		for _, i := range metas {
			native.PutUint32(text[i*4096+headSize+4:], 3)
			if len(metas) == 1 { // whole, and so no damage
				sum := fnvOf(text[i*4096+headSize:][:56])
				native.PutUint64(text[i*4096+headSize+56:], sum)
			}
		}
		return text
	}
	const remedy = ": go back to that version, or move the file away yourself"
	for _, c := range []struct {
		what string
		text []byte
		want string
	}{
		{"rows", made("2", "9.1.0", "zettel"), `scriptbridge 9.1.0 wrote it, in the format "2"; this one knows "1"` + remedy},
		{"rows, of nobody known", made("2", ""), `a newer version of scriptbridge wrote it, in the format "2"; this one knows "1"` + remedy},
		{"bbolt", bbolt3(0, 1), `a newer version of scriptbridge wrote it, in the format "bbolt 3"; this one knows "bbolt 2"` + remedy},
		{"one transaction of bbolt's", bbolt3(0), `a newer version of scriptbridge wrote it, in the format "bbolt 3"; this one knows "bbolt 2"` + remedy},
		{"another one", bbolt3(1), `a newer version of scriptbridge wrote it, in the format "bbolt 3"; this one knows "bbolt 2"` + remedy},
	} {
		if err := os.WriteFile(path, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		o := testOptions
		o.Row = func(bucket string, _, _ []byte) error { // whose rows are not known
			if bucket != "rows" {
				return errors.New("a bucket that is not known")
			}
			return nil
		}
		var newer *NewerError
		if _, err := Open(path, o); !errors.As(err, &newer) || errors.Is(err, ErrDamaged) || err.Error() != path+": "+c.want {
			t.Errorf("%s: %v", c.what, err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, c.text) {
			t.Errorf("%s: the file was changed, %v", c.what, err)
		}
		if left := testkit.Held(t, path); len(left) > 0 {
			t.Errorf("%s: it still has %q", c.what, left)
		}
	}
}

// TestAbout: a file says what it is, and one of before says it when it is opened.
func TestAbout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("rows"))
		if err != nil {
			return err
		}
		return b.Put([]byte("old"), []byte("row"))
	}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for range 2 {
		f := open(t, path)
		if err := f.View(func(tx *bolt.Tx) error {
			if got := string(tx.Bucket([]byte("about")).Get(formatKey)); got != "1" {
				t.Errorf("it says %q", got)
			}
			if got := string(tx.Bucket([]byte("rows")).Get([]byte("old"))); got != "row" {
				t.Errorf("the row is %q", got)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		f.Close()
	}
}

// TestOwnPanic: a function that panics for itself fails alone, whatever it panics
// with.
func TestOwnPanic(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "db"))
	fill(t, f, 10)
	var none *bytes.Buffer
	var noMap map[string]int
	for what, panics := range map[string]func(){
		"a text":           func() { panic("page 7 already freed") },
		"an error":         func() { panic(errors.New("x")) },
		"a bound":          func() { _ = []int{}[len(f.path)] },
		"nothing":          func() { none.WriteByte('x') },
		"a map that is no": func() { maps.Copy(noMap, map[string]int{"x": 1}) },
	} {
		for _, run := range []func(func(*bolt.Tx) error) error{f.View, f.Update} {
			err := run(func(tx *bolt.Tx) error {
				tx.Bucket([]byte("rows")).Get([]byte("000001"))
				panics()
				return nil
			})
			if err == nil || errors.Is(err, ErrDamaged) || !strings.HasPrefix(err.Error(), "store_test.go:") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	fill(t, f, 20)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestInPlace: only a file that is found by its path is where it belongs.
func TestInPlace(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path, away := filepath.Join(folder, "db"), folder+".away"
	f := open(t, path)
	moved := folder + ": the folder was moved away, removed or replaced while it was in use: move it back, or restart scriptbridge to go on with what is there then"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, want string) {
		t.Helper()
		got := ""
		if err := f.InPlace(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("at first", "")
	if runtime.GOOS == "windows" { // which moves a file that is in use, and does nothing else to it
		must(os.Rename(path, path+".x"))
		check("it is moved", path+": it was moved away while it was in use: move it back, or restart scriptbridge to go on with what is there then")
		must(os.Rename(path+".x", path))
		check("back again", "")
		must(os.WriteFile(path+".x", nil, 0o600))
		if os.Rename(path+".x", path) == nil || !testkit.Wine() && os.Remove(path) == nil { // Wine removes it
			t.Error("a file in use was replaced or removed")
		}
		check("at last", "")
		must(f.Close())
		return
	}
	must(os.Rename(folder, away))
	check("its folder is moved", moved)
	must(os.Mkdir(folder, 0o700))
	check("and another one made", moved)
	must(os.WriteFile(path, nil, 0o600))
	check("with a file", moved)
	must(os.RemoveAll(folder))
	must(os.Rename(away, folder))
	check("back again", "")
	must(os.Rename(path, path+".x"))
	check("it is moved", path+": it was moved away while it was in use: move it back, or restart scriptbridge to go on with what is there then")
	must(os.Rename(path+".x", path))
	check("back again", "")
	must(os.WriteFile(path+".x", nil, 0o600))
	must(os.Rename(path+".x", path))
	check("it is replaced", path+": it was removed while it was in use")
	must(os.Remove(path))
	check("it is removed", path+": it was removed while it was in use")
	if err := f.InPlace(); !errors.Is(err, fsx.ErrRemoved) {
		t.Error(err)
	}
	must(os.RemoveAll(folder))
	check("with its folder", folder+": the folder was removed while it was in use: restart scriptbridge to go on with what is there then")
	if err := f.InPlace(); !errors.Is(err, fsx.ErrFolderRemoved) {
		t.Error(err)
	}
	must(os.Mkdir(folder, 0o700))
	check("and another one made", folder+": the folder was removed while it was in use: restart scriptbridge to go on with what is there then")
}

func TestAsideName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	for i := range mostAside {
		want := path + ".damaged"
		if i > 0 {
			want += fmt.Sprint(".", i)
		}
		if name, err := AsideName(fsx.OS{}, path); name != want || err != nil {
			t.Fatalf("%s, %v, want %s", name, err, want)
		}
		if err := os.WriteFile(want, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := path + ".damaged and 9 others are there already: look at them, and remove them"
	if _, err := AsideName(fsx.OS{}, path); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
