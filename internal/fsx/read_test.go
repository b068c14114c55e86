package fsx

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"scriptbridge/internal/testkit"
)

func TestOpen(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, large := file("good", "text"), file("large", "")
	if err := os.Truncate(large, Most+1); err != nil {
		t.Fatal(err)
	}
	link := good
	if testkit.Symlinks(t) {
		link = filepath.Join(folder, "link")
		if err := os.Symlink(good, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, want string }{
		{good, "text"},
		{link, "text"},
		{folder, "open " + folder + ": is a folder"},
		{large, "read " + large + ": has more than 2 MiB"},
		{os.DevNull, "open " + os.DevNull + ": is not a regular file"},
		{folder + "/missing", "open " + folder + "/missing: no such file or directory"},
	} {
		text, err := ReadFile(c.path)
		got := string(text)
		if err != nil {
			got = testkit.UnixText(err.Error())
		}
		if want := testkit.UnixText(c.want); got != want {
			t.Errorf("%s: %s, want %s", c.path, got, want)
		}
	}
	if _, err := ReadFile(folder + "/missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A digest is of what the files hold and of which they are, and that of a file
// that cannot be read is another one.
func TestDigest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	seen := map[any]bool{Digest(): true, Digest("", file): true}
	for _, text := range []string{"", "a", "b"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d := Digest("", file)
		if seen[d] || d != Digest(file, "") {
			t.Errorf("%q has the digest of another, or two", text)
		}
		seen[d] = true
	}
	if Digest() != Digest("") {
		t.Error("an empty name counts")
	}
}

func TestDo(t *testing.T) {
	if n, err := Do(t.Context(), func() (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	hold := make(chan struct{})
	defer close(hold)
	n, err := Do(ctx, func() (int, error) {
		cancel()
		<-hold
		return 7, nil
	})
	if n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("what is left behind gives %d, %v", n, err)
	}
}
