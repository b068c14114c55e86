//go:build !race && unix

package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"scriptbridge/internal/testkit"
)

// deep makes a file whose bucket of rows is a tree of three levels.
func deep(t testing.TB, path string, fatal func(error)) *File {
	t.Helper()
	o := testOptions
	o.Fatal, o.NoSync = fatal, true
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, f, 4000)
	return f
}

// rootOf finds the pages of the bucket of rows: its root, and the first below.
func rootOf(t testing.TB, path string) (file *os.File, root, child *page) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newest(metas(file, int64(os.Getpagesize())))
	if err != nil {
		t.Fatal(err)
	}
	read := func(id uint64) *page {
		p, err := readPage(file, m, id, m.pages)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	at := func(p *page, i int) element {
		e, err := p.element(i)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	buckets := read(m.root)
	for i := range buckets.count {
		if e := at(buckets, i); string(e.key) == "rows" {
			root = read(native.Uint64(e.value))
		}
	}
	child = read(at(root, 0).child)
	if root.flags != branchPage || child.flags != branchPage {
		t.Fatal("the tree is not deep enough")
	}
	return file, root, child
}

// lead has elements of a branch lead to another page.
func lead(t testing.TB, file *os.File, p *page, to uint64, elements ...int) {
	t.Helper()
	for _, i := range elements {
		if _, err := file.WriteAt(native.AppendUint64(nil, to), int64(p.id)*int64(os.Getpagesize())+int64(headSize+i*elementSize+8)); err != nil {
			t.Fatal(err)
		}
	}
}

func all(p *page) (elements []int) {
	for i := range p.count {
		elements = append(elements, i)
	}
	return elements
}

// walks are the ways through the pages.
var walks = map[string]func(b *bolt.Bucket){
	"get":      func(b *bolt.Bucket) { b.Get([]byte("002000")) },
	"first":    func(b *bolt.Bucket) { b.Cursor().First() },
	"last":     func(b *bolt.Bucket) { b.Cursor().Last() },
	"for each": func(b *bolt.Bucket) { _ = b.ForEach(func([]byte, []byte) error { return nil }) },
	"backward": func(b *bolt.Bucket) {
		c := b.Cursor()
		for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
			_ = k
		}
	},
	"put":    func(b *bolt.Bucket) { _ = b.Put([]byte("002000"), nil) },
	"delete": func(b *bolt.Bucket) { _ = b.Delete([]byte("002000")) },
}

// TestCircle has the pages lead round in a circle in the very middle of a
// transaction, when no look beforehand can find it: who walks is cut off, the
// others are done, the file is found damaged, and the program lives.
func TestCircle(t *testing.T) {
	circles := map[string]func(t *testing.T, path string){
		"the root in itself": func(t *testing.T, path string) {
			file, root, _ := rootOf(t, path)
			defer file.Close()
			lead(t, file, root, root.id, all(root)...)
		},
		"a branch up to the root": func(t *testing.T, path string) {
			file, root, child := rootOf(t, path)
			defer file.Close()
			lead(t, file, root, child.id, all(root)...)
			lead(t, file, child, root.id, all(child)...)
		},
	}
	for what, circle := range circles {
		for name, walk := range walks {
			if testing.Short() && name != "get" && name != "for each" {
				continue
			}
			for _, writes := range []bool{false, true} {
				if !writes && (name == "put" || name == "delete") {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, writes %v", what, name, writes), func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "db")
					f := deep(t, path, func(err error) { panic(err) })
					run := f.View
					if writes {
						run = f.Update
					}
					err := run(func(tx *bolt.Tx) error {
						circle(t, path)
						walk(tx.Bucket([]byte("rows")))
						return nil
					})
					if !errors.Is(err, ErrDamaged) || err.Error() != "the file is damaged, or so it seems: its pages lead round in a circle" {
						t.Errorf("%v", err)
					}
					testkit.Promptly(t, "who comes after", func() {
						if err := f.View(func(*bolt.Tx) error { return nil }); !errors.Is(err, ErrDamaged) {
							t.Errorf("who comes after: %v", err)
						}
					})
					testkit.Promptly(t, "Close", func() { f.Close() })
					if left := testkit.Held(t, path); len(left) > 0 {
						t.Errorf("it still has %q", left)
					}
					if _, err := Open(path, testOptions); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrSuspect) {
						t.Errorf("opened again: %v", err)
					}
				})
			}
		}
	}
}

// TestEndlessPage: what is written at the end of a transaction comes to an end, too,
// also where a page that it gives back says that it is of billions of others.
func TestEndlessPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	f := deep(t, path, func(err error) { panic(err) })
	var err error
	testkit.Promptly(t, "Update", func() {
		err = f.Update(func(tx *bolt.Tx) error {
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer file.Close()
			size := int64(os.Getpagesize())
			for at := 2 * size; ; at += size {
				head := make([]byte, 16) // id, flags, count, overflow
				if _, err := file.ReadAt(head, at); err != nil {
					break
				}
				if head[8] == 0x10 { // of the list of free pages
					if _, err := file.WriteAt([]byte{0xff, 0xff, 0xff, 0x7f}, at+12); err != nil {
						return err
					}
				}
			}
			return tx.Bucket([]byte("rows")).Put([]byte("one more"), nil)
		})
	})
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
	testkit.Promptly(t, "who comes after", func() {
		if err := f.View(func(*bolt.Tx) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("who comes after: %v", err)
		}
	})
	testkit.Promptly(t, "Close", func() { f.Close() })
}

// TestCircleInMemory: a circle that bbolt has in its own memory already cannot be
// cut off. It ends the program, with the reason.
func TestCircleInMemory(t *testing.T) {
	const folder = "SCRIPTBRIDGE_TEST_CIRCLE"
	if at := os.Getenv(folder); at != "" {
		goRound(t, filepath.Join(at, "db"))
		return
	}
	at := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCircleInMemory$")
	cmd.Env = append(os.Environ(), folder+"="+at)
	out, err := cmd.CombinedOutput()
	want := "the end: " + filepath.Join(at, "db") + ": somebody wrote to it while it was in use, and its pages lead round in a circle that cannot be left: " +
		"start scriptbridge again, which then reads the file anew and puts it aside where it is damaged\n"
	if cmd.ProcessState.ExitCode() != 7 || !strings.Contains(string(out), want) {
		t.Errorf("it ended with %v\n%s", err, bytes.TrimSpace(out))
	}
}

func goRound(t *testing.T, path string) {
	// So that a watch that fails does not take all of the machine's memory.
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: 8 << 30, Max: 8 << 30}); err != nil {
		t.Fatal(err)
	}
	f := deep(t, path, func(err error) {
		fmt.Println("the end: " + err.Error())
		os.Exit(7)
	})
	_ = f.Update(func(tx *bolt.Tx) error {
		file, root, child := rootOf(t, path)
		lead(t, file, child, root.id, 0)
		b := tx.Bucket([]byte("rows"))
		if err := b.Put([]byte("000020"), nil); err != nil { // and so the pages on the way are in memory
			t.Fatal(err)
		}
		b.Cursor().First()
		return nil
	})
	t.Fatal("it came back")
}
