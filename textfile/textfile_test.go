package textfile

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/testkit"
	"scriptbridge/internal/trust"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	return string(text)
}

func stat(t *testing.T, name string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(name)
	must(t, err)
	return info
}

func page(pieces ...string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, p := range pieces {
			if !yield([]byte(p)) {
				return
			}
		}
	}
}

// entries are the names in a folder.
func entries(t *testing.T, folder string) string {
	t.Helper()
	all, err := os.ReadDir(folder)
	must(t, err)
	var names []string
	for _, e := range all {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// A page that has changed is another file, one that has not the same with a new
// time, and one that somebody else has changed is written again.
func TestWrite(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, fileName)
	f := newFile(folder, nil)
	long := time.Now().Add(-time.Hour)
	// written writes a page, and says whether the file is the same one.
	written := func(pieces ...string) bool {
		t.Helper()
		before, err := os.Lstat(name)
		if err == nil {
			os.SameFile(before, before) // on Windows it finds out only now which file it is
		}
		must(t, f.write(page(pieces...)))
		if got, want := read(t, name), strings.Join(pieces, ""); got != want {
			t.Errorf("it holds %q, want %q", got, want)
		}
		now := stat(t, name)
		if now.Mode() != 0o644 && runtime.GOOS != "windows" || now.ModTime().Before(long.Add(time.Minute)) {
			t.Errorf("mode %v, time %v", now.Mode(), now.ModTime())
		}
		if got := entries(t, folder); got != fileName {
			t.Errorf("the folder has %s", got)
		}
		return err == nil && os.SameFile(before, now)
	}
	old := func() {
		t.Helper()
		must(t, os.Chtimes(name, long, long))
		f.is = stat(t, name)
	}
	written("", "a", "b")
	old()
	if !written("ab") {
		t.Error("what has not changed was written")
	}
	old()
	if written("a", "c") {
		t.Error("another page was written into the same file, which is being read")
	}
	const undone = ": something else has changed it since it was written, which is undone (is there another scriptbridge with this folder? give each one of its own)"
	must(t, os.Chtimes(name, long, long)) // as somebody may who puts something else there
	if written("a", "c") {
		t.Error("its time was changed, and it is still the same file")
	}
	for what, change := range map[string]func() error{
		"its contents": func() error { return os.WriteFile(name, []byte("x"), 0o644) },
		"nothing left": func() error { return os.Truncate(name, 0) },
		"its mode":     func() error { return os.Chmod(name, 0o600) },
		"no file":      func() error { return os.Remove(name) },
		"another": func() error {
			return errors.Join(os.WriteFile(name+".x", []byte("ac"), 0o644), os.Rename(name+".x", name))
		},
		"what a killed bridge was writing": func() error {
			return errors.Join(os.Remove(name), os.WriteFile(filepath.Join(folder, nextName), []byte("xyz"), 0o600))
		},
	} {
		if what == "its mode" && runtime.GOOS == "windows" { // where there are no modes
			continue
		}
		must(t, change())
		_, gone := os.Lstat(name)
		if err := f.write(page("a", "c")); gone == nil && (err == nil || err.Error() != "write "+name+undone) || gone != nil && err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !written("a", "c") {
			t.Errorf("%s: it was written twice", what)
		}
	}
	must(t, f.remove())
	if got := entries(t, folder); got != "" {
		t.Errorf("the folder has %s", got)
	}
	must(t, f.remove(), os.Remove(folder), f.remove()) // there is nothing to remove
}

// What is in the folder already is followed by nobody and written to by nobody.
func TestForeign(t *testing.T) {
	links := testkit.Symlinks(t)
	for _, c := range []struct {
		name string
		make func(folder, secret string) error
		want string // the error, after the file's path; "" for none
	}{
		{"a link to a file", func(f, s string) error { return os.Symlink(s, f+"/"+fileName) }, "is a link, which is not followed here: see where it leads, and remove it"},
		{"a link to nothing", func(f, _ string) error { return os.Symlink("none", f+"/"+fileName) }, "is a link, which is not followed here: see where it leads, and remove it"},
		{"a folder", func(f, _ string) error { return os.Mkdir(f+"/"+fileName, 0o700) }, "is a folder (see what it is, and move it away)"},
		{"a hard link", func(f, s string) error { return os.Link(s, f+"/"+fileName) }, ""},
		{"a link at the next name", func(f, s string) error { return os.Symlink(s, f+"/"+nextName) }, ""},
		{"a hard link at the next name", func(f, s string) error { return os.Link(s, f+"/"+nextName) }, ""},
	} {
		if strings.HasPrefix(c.name, "a link") && !links {
			continue
		}
		above := t.TempDir()
		folder, secret := filepath.Join(above, "folder"), filepath.Join(above, "secret")
		must(t, os.Mkdir(folder, 0o755), os.WriteFile(secret, []byte("secret"), 0o600), c.make(folder, secret))
		before := stat(t, secret)
		f := newFile(folder, nil)
		for range 2 {
			err := f.write(page("a"))
			want := c.want
			if want != "" {
				want = "write " + path(folder) + ": " + want
			}
			if got := explain(err); (got == nil) != (want == "") || got != nil && got.Error() != want {
				t.Errorf("%s: %v, want %s", c.name, got, want)
			}
		}
		if got := Check(folder, nil); (got == nil) != (c.want == "") {
			t.Errorf("%s: check says %v", c.name, got)
		}
		if now := stat(t, secret); read(t, secret) != "secret" || now.Mode() != before.Mode() || !now.ModTime().Equal(before.ModTime()) {
			t.Errorf("%s: the file that it leads to has changed", c.name)
		}
		_ = f.remove()
		if read(t, secret) != "secret" {
			t.Errorf("%s: removed", c.name)
		}
	}
}

// As root no link is followed on a way that others may change; a folder that is theirs
// will do.
func TestWay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	const other = 61001
	top, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	if (trust.Policy{}).Fault(top) != nil {
		t.Skip("the folder for tests is none that only root may change")
	}
	roots, theirs := top+"/roots", top+"/theirs"
	must(t, os.Mkdir(roots, 0o755), os.Mkdir(theirs, 0o755), os.Mkdir(theirs+"/folder", 0o755), os.Symlink(theirs, roots+"/link"),
		os.Symlink(roots, theirs+"/link"), os.Symlink("folder", theirs+"/inner"), os.Mkdir(top+"/own", 0o755), os.Symlink("own", top+"/way"),
		os.Chown(theirs, other, other), os.Chown(top+"/own", other, other), os.Lchown(theirs+"/link", other, other))
	for _, c := range []struct {
		folder  string
		trusted *trust.Policy
		want    string
	}{
		{"/roots", &trust.Policy{}, ""},
		{"/own", &trust.Policy{}, ""},
		{"/way", &trust.Policy{}, "open @/way: root follows no link on the way to it, since @/own belongs to 61001 (mode drwxr-xr-x) (name the folder by a path without links)"},
		{"/theirs", &trust.Policy{}, ""},
		{"/theirs/folder", &trust.Policy{}, ""}, // as Debian's is: root's, in a folder of prometheus
		{"/theirs/link", &trust.Policy{}, "open @/theirs/link: root follows no link on the way to it, since @/theirs belongs to 61001 (mode drwxr-xr-x) (name the folder by a path without links)"},
		{"/theirs/inner", &trust.Policy{}, "open @/theirs/inner: root follows no link on the way to it, since @/theirs belongs to 61001 (mode drwxr-xr-x) (name the folder by a path without links)"},
		{"/roots/link/folder", &trust.Policy{}, "open @/roots/link/folder: root follows no link on the way to it, since @/theirs belongs to 61001 (mode drwxr-xr-x) (name the folder by a path without links)"},
		{"/theirs/link", &trust.Policy{Except: []string{top + "/theirs", top + "/theirs/link"}}, ""},
		{"/theirs/link", nil, ""},
		{"/theirs/none", &trust.Policy{}, "open @/theirs/none: no such file or directory"},
	} {
		f := newFile(top+c.folder, c.trusted)
		got := ""
		if err := f.write(page("a")); err != nil {
			got = strings.ReplaceAll(err.Error(), top, "@")
		}
		if got != c.want {
			t.Errorf("%s: %s\nwant %s", c.folder, got, c.want)
		}
		must(t, os.RemoveAll(top+c.folder+"/"+fileName))
	}
}

// logged is a log whose lines a test reads.
type logged struct{ testkit.Buffer }

// A disk that does not answer keeps nobody, at the end neither; what it does too late
// is undone.
func TestSilent(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var text logged
		hold, asked := make(chan struct{}), 0
		counts := new(Counts)
		w := New(Options{Folder: folder, Counts: counts, Logger: log.NewLogfmtLogger(&text), Page: func() iter.Seq[[]byte] {
			if asked++; asked == 2 {
				<-hold
			}
			return page("a")
		}})
		ctx, end := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { w.Run(ctx, func() {}) })
		time.Sleep(first - 1)
		if counts.Err() != nil || counts.Failed() > 0 || !counts.Last().Equal(time.Now().Add(1-first)) {
			t.Errorf("after the first: %d failed, last %v", counts.Failed(), counts.Last())
		}
		time.Sleep(1 + fsx.Patience)
		synctest.Wait()
		if counts.Err() == nil || counts.Failed() != 1 {
			t.Errorf("while it waits: %d failed", counts.Failed())
		}
		time.Sleep(5 * time.Minute)
		end()
		ended.Wait()
		if left := entries(t, folder); left != fileName {
			t.Errorf("it has removed the file on a disk that does not answer: %q", left)
		}
		close(hold)
		synctest.Wait()
		if left := entries(t, folder); left != "" {
			t.Errorf("there is %q, although the end was before", left)
		}
		name := path(folder)
		want := `level=error msg="the file for node_exporter's textfile collector is not written; it is tried again" err=` + strconv.Quote(folder+": the disk does not answer") + ` file=` + name + "\n" +
			`level=error msg="the file for node_exporter's textfile collector could not be removed, and its values stay" err=` + strconv.Quote(folder+": the disk does not answer") + ` file=` + name + "\n"
		if got := text.String(); got != want {
			t.Errorf("the log is\n%swant\n%s", got, want)
		}
	})
}

// A fault of ours while the page is made costs that attempt.
func TestPanic(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		counts := new(Counts)
		w := New(Options{Folder: folder, Counts: counts, Logger: log.NewNopLogger(), Page: func() iter.Seq[[]byte] {
			if asked++; asked == 1 {
				panic("oh")
			}
			return page("a")
		}})
		ctx, end := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { w.Run(ctx, func() {}) })
		time.Sleep(5*time.Minute - 1) // after 0, 1, 3, 7 and 15 s, and each 15 s
		if counts.Failed() != 1 || counts.Err() != nil || asked != 4+19 {
			t.Errorf("%d of %d failed, the last: %v", counts.Failed(), asked, counts.Err())
		}
		end()
		ended.Wait()
	})
}
