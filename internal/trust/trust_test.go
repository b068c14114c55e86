//go:build unix

package trust

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"scriptbridge/internal/testkit"
)

// Users and groups of nobody else.
const alice, bob, crew = 61001, 61002, 61003

// TestFile has each way in which somebody other than root could decide what
// root runs, and beside it the same with the right owners.
func TestFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	tests := []struct {
		name  string
		build func(d *disk) (path string)
		want  string // of the error, after the folder of the test; "" for none
	}{
		{"a file of root", func(d *disk) string { return d.file("x", 0, 0, 0o755) }, ""},
		{"readable by all, and set-uid", func(d *disk) string { return d.file("x", 0, 0, 0o4755) }, ""},
		{"owned by another", func(d *disk) string { return d.file("x", alice, alice, 0o755) }, "x belongs to 61001 (mode -rwxr-xr-x)"},
		{"owned by another, not writable", func(d *disk) string { return d.file("x", alice, alice, 0o555) }, "x belongs to 61001 (mode -r-xr-xr-x)"},
		{"writable by everyone", func(d *disk) string { return d.file("x", 0, 0, 0o757) }, "x is writable by everyone (owner root, mode -rwxr-xrwx)"},
		{"writable by a group", func(d *disk) string { return d.file("x", 0, crew, 0o775) }, "x is writable by group 61003 (owner root, mode -rwxrwxr-x)"},
		{"writable by root's group", func(d *disk) string { return d.file("x", 0, 0, 0o775) }, "x is writable by group root (owner root, mode -rwxrwxr-x)"},
		{"an access control list", func(d *disk) string { return d.acl(d.file("x", 0, 0, 0o755), 7) },
			"x is writable by those whom its access control list names (owner root, mode -rwxrwxr-x, with an access control list)"},
		{"an access control list that grants no writing", func(d *disk) string { return d.acl(d.file("x", 0, 0, 0o755), 5) }, ""},

		{"a folder of another", func(d *disk) string { d.folder("d", alice, 0, 0o755); return d.file("d/x", 0, 0, 0o755) }, "d/x: @d belongs to 61001 (mode drwxr-xr-x)"},
		{"a folder that a group may write", func(d *disk) string { d.folder("d", 0, crew, 0o775); return d.file("d/x", 0, 0, 0o755) }, "d/x: @d is writable by group 61003 (owner root, mode drwxrwxr-x)"},
		{"a folder with an access control list", func(d *disk) string { d.acl(d.folder("d", 0, 0, 0o755), 7); return d.file("d/x", 0, 0, 0o755) },
			"d/x: @d is writable by those whom its access control list names (owner root, mode drwxrwxr-x, with an access control list)"},
		{"a folder further up", func(d *disk) string {
			d.folder("d", 0, 0, 0o777)
			d.folder("d/e", 0, 0, 0o755)
			return d.file("d/e/x", 0, 0, 0o755)
		}, "d/e/x: @d is writable by everyone (owner root, mode drwxrwxrwx)"},
		{"a sticky folder", func(d *disk) string { d.folder("d", 0, 0, 0o1777); return d.file("d/x", 0, 0, 0o755) }, ""},
		{"another's file in a sticky folder", func(d *disk) string { d.folder("d", 0, 0, 0o1777); return d.file("d/x", alice, 0, 0o755) }, "d/x belongs to 61001 (mode -rwxr-xr-x)"},
		{"another's folder in a sticky folder", func(d *disk) string {
			d.folder("d", 0, 0, 0o1777)
			d.folder("d/e", alice, 0, 0o755)
			return d.file("d/e/x", 0, 0, 0o755)
		}, "d/e/x: @d/e belongs to 61001 (mode drwxr-xr-x)"},
		{"another's sticky folder", func(d *disk) string { d.folder("d", alice, 0, 0o1777); return d.file("d/x", 0, 0, 0o755) }, "d/x: @d belongs to 61001 (mode dtrwxrwxrwx)"},

		{"a link of root", func(d *disk) string { d.file("x", 0, 0, 0o755); return d.link("l", "x", 0) }, ""},
		{"a link of another", func(d *disk) string { d.file("x", 0, 0, 0o755); return d.link("l", "x", alice) }, "the link @l belongs to 61001 (mode Lrwxrwxrwx)"},
		{"a link in another's folder", func(d *disk) string {
			d.file("x", 0, 0, 0o755)
			d.folder("d", alice, 0, 0o755)
			return d.link("d/l", "../x", 0)
		}, "d/l: @d belongs to 61001 (mode drwxr-xr-x)"},
		{"a link into another's folder", func(d *disk) string {
			d.folder("d", alice, 0, 0o755)
			d.file("d/x", 0, 0, 0o755)
			return d.link("l", "d/x", 0)
		}, "l: @d belongs to 61001 (mode drwxr-xr-x)"},
		{"a link on the way", func(d *disk) string {
			d.folder("d", 0, 0, 0o777)
			d.folder("e", 0, 0, 0o755)
			d.file("e/x", 0, 0, 0o755)
			d.link("d/l", "../e", 0)
			return d.at("d/l/x")
		}, "d/l/x: @d is writable by everyone (owner root, mode drwxrwxrwx)"},
		{"links through a third folder", func(d *disk) string {
			d.folder("d", 0, 0, 0o777)
			d.file("x", 0, 0, 0o755)
			d.link("d/m", d.at("x"), 0)
			return d.link("l", "d/m", 0)
		}, "l: @d is writable by everyone (owner root, mode drwxrwxrwx)"},
		{"behind a link .. is where the link leads", func(d *disk) string {
			d.folder("d", alice, 0, 0o755)
			d.folder("d/e", 0, 0, 0o755)
			d.file("d/x", 0, 0, 0o755)
			d.link("l", "d/e", 0)
			d.file("x", 0, 0, 0o755)
			return d.at("l") + "/../x"
		}, "l/../x: @d belongs to 61001 (mode drwxr-xr-x)"},

		{"a folder to put things in", func(d *disk) string { return d.folder("d", 0, 0, 0o755) }, ""},
		{"a folder in which all may put things", func(d *disk) string { return d.folder("d", 0, 0, 0o1777) }, "d is writable by everyone (owner root, mode dtrwxrwxrwx)"},
		{"a missing file", func(d *disk) string { return d.at("x") }, "lstat @x: no such file or directory"},
		{"a circle of links", func(d *disk) string { d.link("a", "b", 0); return d.link("b", "a", 0) }, "b: too many levels of symbolic links"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDisk(t)
			path := test.build(d)
			got := ""
			if err := (Policy{}).File(path); err != nil {
				got = strings.ReplaceAll(err.Error(), d.root+"/", "@")
			}
			want := strings.TrimPrefix(test.want, "@")
			if got = strings.TrimPrefix(got, "@"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// Who is trusted besides root is so with each component, and nobody else is.
func TestUIDs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	d := newDisk(t)
	d.folder("d", alice, 0, 0o700)
	ours := d.file("d/x", alice, 0, 0o644)
	theirs := d.file("d/y", bob, 0, 0o644)
	p := Policy{UIDs: []uint32{alice}}
	if err := p.File(ours); err != nil {
		t.Error(err)
	}
	var e *Error
	if err := p.File(theirs); !errors.As(err, &e) || !e.Own() || e.Who != "61002" {
		t.Errorf("a third user's file: %v", err)
	}
	if err := (Policy{}).File(ours); !errors.As(err, &e) || e.Own() || e.Component != d.at("d") {
		t.Errorf("for root alone: %v", err)
	}
}

// What is excepted is one component: neither what is in it nor what is above.
func TestExcept(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	d := newDisk(t)
	d.folder("d", 0, crew, 0o2775)
	good, bad := d.file("d/x", 0, 0, 0o755), d.file("d/y", alice, 0, 0o755)
	p := Policy{Except: []string{d.at("d")}}
	if err := p.File(good); err != nil {
		t.Error(err)
	}
	if err := p.File(bad); err == nil {
		t.Error("what lies in an excepted folder is not looked at")
	}
	d.folder("e", alice, 0, 0o755)
	d.folder("e/d", alice, 0, 0o755)
	if err := (Policy{Except: []string{d.at("e/d")}}).File(d.file("e/d/x", 0, 0, 0o755)); err == nil {
		t.Error("what lies above an excepted folder is not looked at")
	}
}

// A link's target has its dots resolved where the link leads, as the kernel does.
func TestFileDots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	d := newDisk(t)
	d.folder("d", alice, 0, 0o755)
	d.folder("d/e", 0, 0, 0o755)
	d.file("d/x", 0, 0, 0o755)
	d.link("m", "d/e", 0)
	l := d.link("l", "m/../x", 0)
	var e *Error
	if err := (Policy{}).File(l); !errors.As(err, &e) || e.Component != d.at("d") {
		t.Errorf("got %v, want the folder of the file that is opened", err)
	}
}

func TestMissing(t *testing.T) {
	if err := (Policy{UIDs: []uint32{uint32(os.Geteuid())}}).File(filepath.Join(t.TempDir(), "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// disk is a folder that only root may change, in which tests put what others may.
type disk struct {
	t    *testing.T
	root string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := (Policy{}).File(root); err != nil {
		t.Skipf("the folder for tests is none that only root may change: %v", err)
	}
	return &disk{t, root}
}

func (d *disk) at(name string) string { return filepath.Join(d.root, name) }

func (d *disk) file(name string, uid, gid int, mode os.FileMode) string {
	d.t.Helper()
	if err := os.WriteFile(d.at(name), []byte("#!/bin/sh\n"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.own(name, uid, gid, uint32(mode))
}

func (d *disk) folder(name string, uid, gid int, mode os.FileMode) string {
	d.t.Helper()
	if err := os.Mkdir(d.at(name), 0o700); err != nil {
		d.t.Fatal(err)
	}
	return d.own(name, uid, gid, uint32(mode))
}

func (d *disk) own(name string, uid, gid int, mode uint32) string {
	d.t.Helper()
	if err := errors.Join(os.Chown(d.at(name), uid, gid), syscall.Chmod(d.at(name), mode)); err != nil {
		d.t.Fatal(err)
	}
	return d.at(name)
}

func (d *disk) link(name, target string, uid int) string {
	d.t.Helper()
	if err := errors.Join(os.Symlink(target, d.at(name)), os.Lchown(d.at(name), uid, 0)); err != nil {
		d.t.Fatal(err)
	}
	return d.at(name)
}

// acl lets alice have the permissions of perm by an access control list.
func (d *disk) acl(path string, perm uint16) string {
	d.t.Helper()
	testkit.ACL(d.t, path, alice, perm)
	return path
}

// All that is above a path is taken as it is with it, and the policy itself stays.
func TestExceptUpTo(t *testing.T) {
	p := Policy{UIDs: []uint32{alice}, Except: []string{"/x"}}
	up := p.ExceptUpTo("/a/b/c")
	if want := []string{"/x", "/a/b/c", "/a/b", "/a", "/"}; !slices.Equal(up.Except, want) || !slices.Equal(up.UIDs, p.UIDs) || len(p.Except) != 1 {
		t.Errorf("%+v, of %+v", up, p)
	}
}
