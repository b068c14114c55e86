//go:build unix

package textfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// private is a folder that no other user can change; nor can another one change
// what is above it, which is not so in the one for temporary files.
func private(t *testing.T) (string, trust.Policy) {
	t.Helper()
	dir := t.TempDir()
	p := trust.Policy{Except: []string{os.TempDir(), filepath.Dir(dir)}}
	if uid := os.Geteuid(); uid > 0 {
		p.UIDs = []uint32{uint32(uid)}
	}
	must(t, os.Chmod(dir, 0o755))
	return dir, p
}

// outcome is what a look at a folder finds, one file a line.
func outcome(t *testing.T, f folder) string {
	t.Helper()
	files, err := f.read(t.Context())
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, one := range files {
		what := fmt.Sprintf("%q", one.text)
		if one.refused != nil {
			what = one.refused.reason + ": " + one.refused.err.Error()
		}
		lines = append(lines, one.name+" "+what)
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), f.path, "DIR")
}

// TestFolder has everything in a folder that may be at a name.
func TestFolder(t *testing.T) {
	dir, policy := private(t)
	outside := t.TempDir()
	must(t,
		os.WriteFile(dir+"/a.prom", []byte("a 1\n"), 0o600),
		os.WriteFile(dir+"/a.prom.1234", []byte("x"), 0o600),
		os.WriteFile(dir+"/.hidden.prom", []byte("x"), 0o600),
		os.WriteFile(dir+"/other.txt", []byte("x"), 0o600),
		os.WriteFile(dir+"/upper.PROM", []byte("x"), 0o600),
		os.WriteFile(dir+"/empty.prom", nil, 0o600),
		os.Mkdir(dir+"/folder.prom", 0o700),
		os.WriteFile(dir+"/folder.prom/in.prom", []byte("x"), 0o600),
		syscall.Mkfifo(dir+"/pipe.prom", 0o666),
		os.Symlink("pipe.prom", dir+"/link-pipe.prom"),
		os.Symlink("/dev/zero", dir+"/link-zero.prom"),
		os.Symlink("nowhere", dir+"/link-nowhere.prom"),
		os.Symlink("link-loop.prom", dir+"/link-loop.prom"),
		os.WriteFile(outside+"/secret", []byte("secret"), 0o600),
		os.WriteFile(outside+"/public", []byte("public 1\n"), 0o644),
		os.Symlink(outside+"/secret", dir+"/link-secret.prom"),
		os.Symlink(outside+"/public", dir+"/link-public.prom"),
		os.Link(outside+"/public", dir+"/second-name.prom"),
	)
	sparse, err := os.Create(dir + "/huge.prom")
	must(t, err, sparse.Truncate(1<<40), sparse.Close(), os.Chmod(outside+"/public", 0o644))
	policy.Except = append(policy.Except, filepath.Dir(outside))
	must(t, os.Chmod(outside, 0o755))
	f := folder{path: dir, maxBytes: 1000, policy: policy}
	want := `a.prom "a 1\n"
empty.prom ""
folder.prom not_a_file: is a folder
huge.prom too_large: its 1099511627776 bytes are more than what max_output leaves, which is for all files of the folder together
link-loop.prom unreadable: too many levels of symbolic links
link-nowhere.prom link: is a symbolic link that leads to no file
link-pipe.prom not_a_file: is not a regular file
link-public.prom "public 1\n"
link-secret.prom link: is a symbolic link to a file that not everybody may read (let the file itself be there)
link-zero.prom link: is a symbolic link, which is not followed since everyone may change where it leads: /dev/zero is writable by everyone (owner root, mode Dcrw-rw-rw-) (let the file itself be there)
pipe.prom not_a_file: is not a regular file
second-name.prom "public 1\n"`
	if diff := cmp.Diff(want, outcome(t, f)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Where others can write, a link may be theirs: what it leads to is not read, and
// nothing of it is said.
func TestFolderOfOthers(t *testing.T) {
	for _, mode := range []os.FileMode{0o777, 0o777 | os.ModeSticky, 0o770} {
		dir, policy := private(t)
		outside := t.TempDir()
		must(t, os.WriteFile(outside+"/secret", []byte("secret"), 0o600),
			os.WriteFile(outside+"/hidden", []byte("hidden 1\n"), 0o644), os.Symlink(outside+"/hidden", dir+"/also.prom"), // by its folder
			os.Symlink(outside+"/secret", dir+"/link.prom"), os.Link(outside+"/secret", dir+"/name.prom"),
			os.WriteFile(dir+"/own.prom", []byte("own 1\n"), 0o600), os.Chmod(dir, mode))
		if os.Geteuid() == 0 {
			must(t, os.Lchown(dir+"/link.prom", 12345, 12345), os.Lchown(dir+"/also.prom", 12345, 12345))
		}
		own := os.Geteuid() != 0 && mode&os.ModeSticky != 0 // so that nobody else made the link
		got := outcome(t, folder{path: dir, maxBytes: 1000, policy: policy})
		if strings.Contains(got, "secret") || strings.Contains(got, "hidden") != own || !strings.Contains(got, "link.prom link: is a symbolic link") ||
			!strings.Contains(got, "name.prom link: has other names too (hard links), and ") || !strings.HasSuffix(got, `own.prom "own 1\n"`) {
			t.Errorf("%s:\n%s", mode, got)
		}
	}
}

// The bytes are for all files together: the largest does without.
func TestFolderBounds(t *testing.T) {
	dir, policy := private(t)
	must(t, os.WriteFile(dir+"/a.prom", []byte(strings.Repeat("a", 80)), 0o600),
		os.WriteFile(dir+"/b.prom", []byte("b 1\n"), 0o600), os.WriteFile(dir+"/c.prom", []byte(strings.Repeat("c", 30)), 0o600))
	want := "a.prom too_large: its 80 bytes are more than what max_output leaves, which is for all files of the folder together\nb.prom \"b 1\\n\"\nc.prom \"" + strings.Repeat("c", 30) + `"`
	if diff := cmp.Diff(want, outcome(t, folder{path: dir, maxBytes: 90, policy: policy})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	many, policy := private(t)
	for i := range 5*maxFiles + 3 {
		must(t, os.WriteFile(fmt.Sprintf("%s/%05d.prom", many, i), nil, 0o600))
	}
	f := folder{path: many, maxBytes: 1 << 20, policy: policy}
	files, err := f.read(t.Context())
	if err != nil || len(files) != maxFiles+1 || files[maxFiles-1].refused != nil || files[maxFiles].name != "01000.prom" || files[maxFiles].refused.reason != "too_many_files" {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// What goes while the folder is read was not there.
func TestFileGone(t *testing.T) {
	dir, policy := private(t)
	f := folder{path: dir, maxBytes: 1000, policy: policy}
	one := file{name: "gone.prom", path: dir + "/gone.prom"}
	in, err := fsx.OS{}.Within(dir)
	must(t, err)
	defer in.Close()
	if f.readFile(in, &one, 1000); one.refused == nil || one.refused.reason != "gone" {
		t.Errorf("%+v", one.refused)
	}
}

// exchanging is a folder in which another file takes the place of each that is
// opened, so often.
type exchanging struct {
	fsx.Folder
	times int
}

func (e *exchanging) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if e.times--; e.times >= 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fsx.ErrExchanged}
	}
	return e.Folder.OpenFile(name, flag, perm)
}

// A file that is replaced just when it is opened, as writers should replace it, is
// opened again.
func TestFileExchanged(t *testing.T) {
	dir, policy := private(t)
	f := folder{path: dir, maxBytes: 1000, policy: policy}
	must(t, os.WriteFile(dir+"/a.prom", []byte("a 1\n"), 0o600))
	for times, want := range map[int]string{0: "", 2: "", 3: "changing"} {
		in, err := fsx.OS{}.Within(dir)
		must(t, err)
		one := file{name: "a.prom", path: dir + "/a.prom"}
		f.readFile(&exchanging{in, times}, &one, 1000)
		got := ""
		if one.refused != nil {
			got = one.refused.reason
		}
		if got != want || (string(one.text) == "a 1\n") != (want == "") {
			t.Errorf("exchanged %d times: %q, %q", times, got, one.text)
		}
		must(t, in.Close())
	}
}

func scriptOf(dir string) *dialect.Script {
	return &dialect.Script{
		Script:           &config.Script{Name: "s", Directory: dir, Settings: config.Settings{MaxOutput: 1 << 20, MaxSeries: 100}},
		FallbackInterval: 15 * time.Second, FallbackTimeout: 5 * time.Second,
	}
}

// A folder that cannot be read leaves what there was, and says why, as a check does.
func TestNoFolder(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/metrics", 0o700), os.WriteFile(dir+"/file", nil, 0o600))
	for path, want := range map[string]string{
		"/metric":      "directory DIR/metric: there is no such folder (did you mean DIR/metrics?)",
		"/file":        "directory DIR/file: is not a folder",
		"/file/x":      "directory DIR/file/x: is not a folder (DIR/file is not a folder)",
		"/no/where/at": "directory DIR/no/where/at: there is no such folder (DIR/no is missing already)",
		"/metrics":     "",
	} {
		s := scriptOf(dir + path)
		r := newRunner(s).Run(t.Context(), nil)
		o := r.Outcomes[0]
		got := ""
		if o.Err != nil {
			got = strings.ReplaceAll(o.Err.Error(), dir, "DIR")
		}
		if got != want || r.Complete != (want == "") || (o.Result == record.OK) != (want == "") || r.Files != nil {
			t.Errorf("%s: %q, want %q; complete %t, %s", path, got, want, r.Complete, o.Result)
		}
		if err := (Dialect{}).CheckFolder(s); (err == nil) != (want == "") || err != nil && err.Error() != o.Err.Error() {
			t.Errorf("%s: a check says %v", path, err)
		}
	}
}

// A file system that does not answer costs the turn its timeout, and the next ones
// nothing; as soon as it answers, all is well.
func TestSilentFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunner(scriptOf("/metrics"))
		answer := make(chan []file)
		r.read = func(context.Context) ([]file, error) { return <-answer, nil }
		for _, want := range []string{"directory /metrics: has not been read within 5s", "directory /metrics: it has not answered since an earlier turn (is its file system there?)"} {
			begin := time.Now()
			got := r.Run(t.Context(), nil)
			if o := got.Outcomes[0]; o.Err == nil || o.Err.Error() != want || got.Complete || time.Since(begin) > 5*time.Second {
				t.Errorf("after %s: %s %v", time.Since(begin), o.Result, o.Err)
			}
		}
		answer <- nil // to the first turn, which has gone on
		synctest.Wait()
		go func() { answer <- []file{{name: "a.prom", text: []byte("a 1\n")}} }()
		if got := r.Run(t.Context(), nil); got.Outcomes[0].Err != nil || len(got.Samples) != 1 {
			t.Errorf("%+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if got := r.Run(ctx, nil); got.Outcomes[0].Result != record.Killed {
			t.Errorf("at the end: %s", got.Outcomes[0].Result)
		}
		answer <- nil
	})
}
