package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/fsx"
)

// newHost makes a root of files; a text "link TARGET" is a link.
func newHost(t *testing.T, files map[string]string) *Host {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		place := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "link "); ok {
			err = os.Symlink(target, place)
		} else {
			err = os.WriteFile(place, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	h, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// placeOnDrive: on Windows, the machine is the system's drive, and names may have another.
func placeOnDrive(t *testing.T) {
	h, err := New("/")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.ToSlash(file), filepath.ToSlash(file[len(filepath.VolumeName(file)):])} {
		if got, err := h.Place(name); err != nil || got != file {
			t.Errorf("%s is %s, %v, not %s", name, got, err, file)
		}
	}
	for name, want := range map[string]string{"/a b/c": `C:\a b\c`, "D:/x": `D:\x`} {
		if got := h.Native(name); got != want {
			t.Errorf("%s is written as %s, want %s", name, got, want)
		}
	}
}

// TestPlace: links lead where they lead on that machine, and none out of it.
func TestPlace(t *testing.T) {
	if runtime.GOOS == "windows" {
		placeOnDrive(t)
		t.Skip("Wine does not find a link that leads nowhere on its host, as those of an image do")
	}
	h := newHost(t, map[string]string{
		"etc/passwd": "ours", "etc/absolute": "link /etc/passwd", "etc/up": "link ../../../../etc/passwd", "etc/dir": "link /srv",
		"srv/x": "x", "srv/up": "link ../etc/dir/x", "loop": "link /loop", "dangling": "link /etc/none",
	})
	for name, want := range map[string]string{
		"/etc/passwd": "etc/passwd", "/etc/absolute": "etc/passwd", "/etc/up": "etc/passwd", "/etc/dir/x": "srv/x", "/srv/up": "srv/x",
		"/../../etc/passwd": "etc/passwd", "/etc/dir/../etc/passwd": "etc/passwd", "/": "",
	} {
		got, err := h.Place(name)
		if want := filepath.Join(h.root, want); err != nil || got != want {
			t.Errorf("%s is %s, %v, not %s", name, got, err, want)
		}
	}
	for _, name := range []string{"/loop", "/dangling", "/none/x"} {
		if got, err := h.Place(name); err == nil {
			t.Errorf("%s is %s", name, got)
		}
	}
}

// TestRead: what is no file, or too large, is not read, nor more files than some.
func TestRead(t *testing.T) {
	h := newHost(t, map[string]string{"a": "text\xff", "large": strings.Repeat("x", fsx.Most+1), "d/x": ""})
	if text, err := h.Read("/a"); text != "text\ufffd" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := h.Read("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for name, want := range map[string]string{"/large": "cannot be read: has more than 2 MiB", "/d": "cannot be read: is a folder"} {
		if _, err := h.Read(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range maxFiles {
		_, _ = h.Read("/a")
	}
	if _, err := h.Read("/a"); err == nil || err.Error() != "is not read: more than 2000 files were" {
		t.Error(err)
	}
}

func TestGlob(t *testing.T) {
	files := map[string]string{"etc/a.d/1.conf": "", "etc/a.d/2.txt": "", "etc/b.d/1.conf": "", "etc/a.d/.h.conf": "", "etc/c.d": "link a.d"}
	if runtime.GOOS == "windows" { // see TestPlace
		delete(files, "etc/c.d")
		files["etc/c.d/1.conf"] = ""
	}
	h := newHost(t, files)
	for pattern, want := range map[string][]string{
		"/etc/*.d/*.conf": {"/etc/a.d/1.conf", "/etc/b.d/1.conf", "/etc/c.d/1.conf"},
		"/etc/a.d/2.txt":  {"/etc/a.d/2.txt"},
		"/etc/none/*":     nil,
		"/etc/a.d/[":      nil,
	} {
		if got := h.Glob(pattern); !slices.Equal(got, want) {
			t.Errorf("%s: %q", pattern, got)
		}
	}
}

func TestServices(t *testing.T) {
	h := newHost(t, map[string]string{
		"etc/default/x":                         "# ARGS=none\nexport ARGS=\"--a=$B --c \\\n 'two words'\"\nB=late\n",
		"lib/systemd/system/x.service":          "[Service]\nUser=root\nExecStart=/bin/old\n",
		"etc/systemd/system/x.service":          "[Service]\nEnvironment=\"C=1 2\" D=3\nEnvironmentFile=-/etc/default/x\nEnvironmentFile=-/etc/default/none\nUser=me\nWorkingDirectory=/srv\n#ExecStart=/bin/no\nExecStart=-/bin/x $ARGS ${D} --e ${C} \\\n  --last\n",
		"lib/systemd/system/w.service":          "[Service]\nExecStart=/bin/w --old\nUser=a\n",
		"lib/systemd/system/w.service.d/1.conf": "[Service]\nUser=b\n",
		"etc/systemd/system/w.service.d/o.conf": "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exec /bin/w --new=1'\nUser=c\n",
		"etc/init.d/y":                          "#!/bin/sh\nDIR=/opt/y\nARGS=\"-s ${DIR}/s -u me\"\n",
		"usr/lib/systemd/system/z@.xxx":         "",
	})
	want := []Service{
		{File: "/etc/systemd/system/x.service", Files: []string{"/etc/systemd/system/x.service", "/etc/default/x"}, User: "me", Dir: "/srv", Words: []string{"/bin/x", "--a=$B", "--c", "two words", "3", "--e", "1", "2", "--last"}},
		{File: "/etc/init.d/y", Files: []string{"/etc/init.d/y"}, Words: []string{"/opt/y", "-s", "/opt/y/s", "-u", "me"}},
		{File: "/lib/systemd/system/w.service", Files: []string{"/lib/systemd/system/w.service", "/lib/systemd/system/w.service.d/1.conf", "/etc/systemd/system/w.service.d/o.conf"}, User: "c", Words: []string{"exec", "/bin/w", "--new=1"}},
	}
	if diff := cmp.Diff(want, h.Services("x", "y", "w", "z")); diff != "" {
		t.Error(diff)
	}
	if value, ok := Flag(want[0].Words, "--a"); value != "$B" || !ok {
		t.Errorf("%q, %v", value, ok)
	}
	if value, ok := Flag(want[1].Words, "-u"); value != "me" || !ok {
		t.Errorf("%q, %v", value, ok)
	}
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		`/bin/x -a b`:              {"/bin/x", "-a", "b"},
		` x  "two words" 'a"b' `:   {"x", "two words", `a"b`},
		`x a\ b "a\"b" 'a\b' "\n"`: {"x", "a b", `a"b`, `a\b`, `\n`},
		`x ""`:                     {"x", ""},
		`x a=b --c=d`:              {"x", "a=b", "--c=d"},
		`x a#b '~' '$x' "\$x"`:     {"x", "a#b", "~", "$x", "$x"},
		"x a \\\n b":               {"x", "a", "b"},
		`x {a} %b ^ ! @ 20%`:       {"x", "{a}", "%b", "^", "!", "@", "20%"},
		`x é "ü"`:                  {"x", "é", "ü"},
	} {
		if got, plain := Words(line); !plain || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", line, got, plain)
		}
	}
	for _, line := range []string{"", "  ", "a | b", "a > b", "a && b", "a; b", "a &", "$a", `x "$a"`, "x `b`", `x "a` + "`b`" + `"`, "x *", "x a?", "x [a]", "x ~/b", "# x", "x #y", "A=b x", "(a)", "x 'a"} {
		if words, plain := Words(line); plain {
			t.Errorf("%s: is plain, %q", line, words)
		}
	}
}

func TestParts(t *testing.T) {
	for line, want := range map[string][]Part{
		"a":                     {{"a", ""}},
		"a > x && mv x y":       {{"a > x", "&&"}, {"mv x y", ""}},
		"a|b;c&":                {{"a", "|"}, {"b", ";"}, {"c", "&"}},
		"a 2>&1 | b || true":    {{"a 2>&1", "|"}, {"b", "||"}, {"true", ""}},
		"a &> x":                {{"a &> x", ""}},
		"'a;b' \"c|d\" e\\;f":   {{"'a;b' \"c|d\" e\\;f", ""}},
		"(a; b) > x; { c; } |d": {{"(a; b) > x", ";"}, {"{ c; }", "|"}, {"d", ""}},
		"a $(b; c)":             {{"a $(b; c)", ""}},
		"":                      {{"", ""}},
	} {
		if diff := cmp.Diff(want, Parts(line)); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
}

// FuzzLines: nothing of a line is lost where it is cut, and none breaks what reads it.
func FuzzLines(f *testing.F) {
	for _, line := range []string{`a "b c" | d && e`, `a \`, `'`, "a $(b) > c"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, _ := Words(line)
		for _, word := range words {
			if len(word) > len(line) {
				t.Errorf("%q has the word %q", line, word)
			}
		}
		all := ""
		for _, p := range Parts(line) {
			all += p.Text + p.Operator
		}
		if got, want := strings.Join(strings.Fields(all), ""), strings.Join(strings.Fields(line), ""); got != want {
			t.Errorf("%q is cut into %q", line, Parts(line))
		}
		if Quoted(line, 0) {
			t.Errorf("the beginning of %q is in quotes", line)
		}
	})
}
