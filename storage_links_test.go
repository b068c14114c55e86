//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scriptbridge/coscale/server"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
	"scriptbridge/upload/spool"
)

// TestStorageFollowsNoLink has each name in the folder be a link to somebody else's
// file, or to their folder, made while the bridge is at work, which no check of the
// start has seen. Nothing is read there, nor written.
func TestStorageFollowsNoLink(t *testing.T) {
	memory := func(s *storage) error {
		m := memoryOf(s, "a", 100)
		_, err := m.Load()
		return errors.Join(err, m.Save([]byte("from a script")))
	}
	spoolOf := func(s *storage, use func(*spool.Spool) error) error {
		path, err := s.upload("coscale")
		if err != nil {
			return err
		}
		sp, err := spool.Open(spool.Options{Path: path, MaxBytes: 1 << 20, FS: s.disk})
		if err != nil {
			return err
		}
		return errors.Join(use(sp), sp.Close())
	}
	open := func(s *storage) error { return spoolOf(s, func(*spool.Spool) error { return nil }) }
	aside := func(s *storage) error {
		return spoolOf(s, func(sp *spool.Spool) error {
			return sp.SetAside(spool.Aside{Why: errors.New("refused"), Shown: []byte("{}"), Items: 1, At: time.Now(), Entry: []byte("x")})
		})
	}
	restore := func(s *storage) error {
		return spoolOf(s, func(sp *spool.Spool) error {
			_, _, err := sp.Restore(func(*spool.Aside) error { return errors.New("has no entry") })
			return err
		})
	}
	ids := func(s *storage) error {
		folder, err := s.receiver("coscale")
		if err != nil {
			return err
		}
		h, err := server.NewHandler(server.HandlerOptions{AppID: "A", Folder: folder, FS: s.disk})
		if err != nil {
			return err
		}
		return h.Close()
	}
	kept := filepath.Join("scripts", memoryName("a"))
	tests := []struct {
		name string // of the link
		to   string // what it leads to
		use  func(*storage) error
		want string // "" where a link is as good as nothing, and goes
	}{
		{"lock", "file", func(s *storage) error { return errors.Join(os.Remove(s.folder+"/lock.was"), s.held()) },
			"storage FOLDER: open LINK: is a link, which is not followed here: see where it leads, and remove it"},
		{"bridge", "file", func(s *storage) error { _, err := s.bridgeName(); return err }, "open LINK: REFUSED"},
		{kept, "file", memory, "open LINK: REFUSED"},
		{kept + ".tmp", "file", memory, "open LINK: REFUSED"},
		{"scripts", "folder", memory, "open LINK/" + memoryName("a") + ": REFUSED"},
		{"receivers", "folder", func(s *storage) error { _, err := s.receiver("coscale"); return err }, "LINK: REFUSED"},
		{"receivers/coscale", "folder", func(s *storage) error { _, err := s.receiver("coscale"); return err }, "LINK: REFUSED"},
		{"receivers/coscale/ids.db", "file", ids, "open LINK: REFUSED"},
		{"uploads", "folder", open, "LINK: REFUSED"},
		{"uploads/coscale", "file", open, "spool: open LINK: REFUSED"},
		{"uploads/coscale.tmp", "file", open, ""},
		{"uploads/coscale.refused", "file", aside, "set aside: open LINK: REFUSED"},
		{"uploads/coscale.refused", "file", restore, "restore: open LINK: REFUSED"},
		{"uploads/coscale.refused.1", "file", restore, "restore: open LINK: REFUSED"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			elsewhere := t.TempDir()
			secret := filepath.Join(elsewhere, "file")
			if err := errors.Join(os.WriteFile(secret, []byte("a secret\n"), 0o600), os.Mkdir(filepath.Join(elsewhere, "folder"), 0o700)); err != nil {
				t.Fatal(err)
			}
			s := testStorage(t, filepath.Join(t.TempDir(), "state"))
			link := filepath.Join(s.folder, test.name)
			_ = os.Rename(link, link+".was")
			if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(elsewhere, test.to), link); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := test.use(s); err != nil {
				got, _, _ = strings.Cut(err.Error(), "\n")
			}
			want := strings.NewReplacer("FOLDER", s.folder, "LINK", link, "REFUSED", fsx.ErrLink.Error()).Replace(test.want)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if text, err := os.ReadFile(secret); err != nil || string(text) != "a secret\n" {
				t.Errorf("the other's file: %q, %v", text, err)
			}
			if made, err := os.ReadDir(filepath.Join(elsewhere, "folder")); err != nil || len(made) > 0 {
				t.Errorf("made in the other's folder: %v, %v", made, err)
			}
		})
	}
}

// TestStorageContents: what somebody has put into the folder, or can change there,
// is found before anything is used.
func TestStorageContents(t *testing.T) {
	private := "the folder must be for scriptbridge alone, and one that is missing is made so"
	tests := []struct {
		name string
		root bool                      // only root can make it so
		make func(folder string) error // in the folder
		want string
	}{
		{"nothing", false, func(string) error { return nil }, ""},
		{"what the bridge itself makes", false, func(f string) error {
			s, err := openStorage(fsx.OS{}, f, nil)
			if err != nil {
				return err
			}
			defer s.close()
			_, err = s.bridgeName()
			return errors.Join(err, memoryOf(s, "a", 100).Save(nil))
		}, ""},
		{"two names within", false, func(f string) error { return errors.Join(os.WriteFile(f+"/x", nil, 0o600), os.Link(f+"/x", f+"/y")) }, ""},
		{"a socket that all may write to", false, func(f string) error {
			at := f + "/s"
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
			if err != nil {
				return err
			}
			return errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: at}), os.Chmod(at, 0o666), syscall.Close(fd))
		}, ""},
		{"it may be written", false, func(f string) error { return os.Chmod(f, 0o770) }, "others may write it (mode drwxrwx---): " + private},
		{"a folder in it may be written", false, func(f string) error { return errors.Join(os.Mkdir(f+"/scripts", 0o700), os.Chmod(f+"/scripts", 0o777)) },
			"FOLDER/scripts: others may write it (mode drwxrwxrwx): see what it is, and let scriptbridge alone write it"},
		{"a sticky folder in it may be written", false, func(f string) error {
			return errors.Join(os.Mkdir(f+"/scripts", 0o700), syscall.Chmod(f+"/scripts", 0o1777))
		},
			"FOLDER/scripts: others may write it (mode dtrwxrwxrwx): see what it is, and let scriptbridge alone write it"},
		{"a file in it may be written", false, func(f string) error {
			return errors.Join(os.WriteFile(f+"/bridge", nil, 0o600), os.Chmod(f+"/bridge", 0o620))
		},
			"FOLDER/bridge: others may write it (mode -rw--w----): see what it is, and let scriptbridge alone write it"},
		{"a link", false, func(f string) error { return os.Symlink("/etc", f+"/scripts") },
			"FOLDER/scripts is a link, which is not followed here: see where it leads, and remove it"},
		{"another name elsewhere", false, func(f string) error {
			return errors.Join(os.WriteFile(f+"/lock", nil, 0o600), os.Link(f+"/lock", f+".outside"))
		},
			"FOLDER/lock has another name outside of the folder (it has 2 hard links): see what it is, and move it away"},
		{"a file of another", true, func(f string) error {
			return errors.Join(os.WriteFile(f+"/lock", nil, 0o600), os.Chown(f+"/lock", 61001, 0))
		},
			"FOLDER/lock belongs to another user (uid 61001): see what it is, and move it away"},
		{"it is another's", true, func(f string) error { return os.Chown(f, 61001, 0) }, "it belongs to another user (uid 61001): " + private},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.root && os.Geteuid() != 0 {
				t.Skip("only root can give files to others")
			}
			folder := filepath.Join(t.TempDir(), "state")
			link := folder + ".link" // through which it is the same
			if err := errors.Join(os.Mkdir(folder, 0o700), test.make(folder), os.Symlink(folder, link)); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{folder, link} {
				want := strings.ReplaceAll(test.want, "FOLDER", path)
				if want != "" {
					want = "storage " + path + ": " + want
				}
				got := ""
				if s, err := openStorage(fsx.OS{}, path, nil); err != nil {
					got = err.Error()
				} else {
					s.close()
				}
				if got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

// TestStorageAbove: as root no folder is made where another's link leads.
func TestStorageAbove(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	above := t.TempDir()
	if (trust.Policy{}).Fault(above) != nil {
		t.Skip("the folder for tests is none that only root may change")
	}
	target, theirs := filepath.Join(above, "target"), filepath.Join(above, "theirs")
	if err := errors.Join(os.Mkdir(target, 0o700), os.Mkdir(theirs, 0o755), os.Symlink(target, theirs+"/link"), os.Chown(theirs, 61001, 0)); err != nil {
		t.Fatal(err)
	}
	folder := theirs + "/link/state"
	want := "storage " + folder + ": 61001 may change it, since " + theirs + " belongs to 61001 (mode drwxr-xr-x): " +
		"name a folder that nobody else may write, nor those above it, or start with --config.trusted-path=" + theirs
	if _, err := openStorage(fsx.OS{}, folder, new(trust.Policy)); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if made, err := os.ReadDir(target); err != nil || len(made) > 0 {
		t.Errorf("made where the link leads: %v, %v", made, err)
	}
	s, err := openStorage(fsx.OS{}, theirs+"/state", &trust.Policy{Except: []string{theirs}})
	if err != nil {
		t.Fatal(err)
	}
	s.close()
}
