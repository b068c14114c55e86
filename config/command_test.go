package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scriptbridge/config/cmdline"
	"scriptbridge/internal/testkit"
)

// TestOwnFile: which word of a command is the script's own file.
func TestOwnFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"here.py", "work/there.py", "lib/x.pl"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ command, want, name string }{
		// The want marks the program; $D is the folder.
		{"disks.sh", "<disks.sh>", "disks"},
		{"./disks.v2.sh x/y", "<$D/disks.v2.sh> x/y", "disks.v2"},
		{"../disks.sh", "<$P/disks.sh>", "disks"},
		{"/srv/.sh", "</srv/.sh>", ".sh"},
		{"/srv/disks /etc/x", "</srv/disks> /etc/x", "disks"},
		{"python3 /srv/disks.py --all /x", "python3 </srv/disks.py> --all /x", "disks"},
		{"/usr/bin/python3.11 -u srv/disks.py", "/usr/bin/python3.11 -u <$D/srv/disks.py>", "disks"},
		{"python here.py", "python <$D/here.py>", "here"},
		{"python there.py", "python <$D/work/there.py>", "there"},
		{"python gone.py http://localhost/", "<python> gone.py http://localhost/", "python"},
		{"bin/python here.py", "$D/bin/python <$D/here.py>", "here"},
		{"perl -I lib lib/x.pl", "perl -I lib <$D/lib/x.pl>", "x"},
		{"perl -I ./lib lib/x.pl", "perl -I ./lib <$D/lib/x.pl>", "x"},
		{"sh -c /srv/x|wc", "<sh> -c /srv/x|wc", "sh"},
		{"bash -lc /srv/x", "<bash> -lc /srv/x", "bash"},
		{"sh -e /srv/x.sh", "sh -e </srv/x.sh>", "x"},
		{"perl -we print/3", "<perl> -we print/3", "perl"},
		{"python3 -m a/b", "<python3> -m a/b", "python3"},
		{"powershell.exe -NoProfile -File x/y.ps1", "powershell.exe -NoProfile -File <$D/x/y.ps1>", "y"},
		{"pwsh -Command Get/It", "<pwsh> -Command Get/It", "pwsh"},
		{"env PATH=/bin:/usr/bin LANG=C python3 /srv/x.py", "env PATH=/bin:/usr/bin LANG=C python3 </srv/x.py>", "x"},
		{"sudo -u nobody /usr/bin/python2.7 /srv/x.py", "sudo -u nobody /usr/bin/python2.7 </srv/x.py>", "x"},
		{"nice -n 10 timeout 5 sh -c /srv/x", "<nice> -n 10 timeout 5 sh -c /srv/x", "nice"},
		{"java -Xmx64m -jar /srv/x.jar", "java -Xmx64m -jar </srv/x.jar>", "x"},
		{"php - x", "<php> - x", "php"},
		{"bash -ec /srv/x", "<bash> -ec /srv/x", "bash"},
		{"bash -o pipefail -c /srv/x", "<bash> -o pipefail -c /srv/x", "bash"},
		{"bash -o pipefail /srv/x.sh", "bash -o pipefail </srv/x.sh>", "x"},
		{"sh -s /srv/x", "<sh> -s /srv/x", "sh"},
		{"python3 -cpass /srv/x", "<python3> -cpass /srv/x", "python3"},
		{"python3 - /srv/x", "<python3> - /srv/x", "python3"},
		{"python3 -W module /srv/x.py", "python3 -W module </srv/x.py>", "x"},
		{"python3 gone.py /srv/x", "<python3> gone.py /srv/x", "python3"},
		{"perl -MPOSIX::free /srv/x.pl", "perl -MPOSIX::free </srv/x.pl>", "x"},
		{"perl -lne print /srv/x", "<perl> -lne print /srv/x", "perl"},
		{"php -d a=/b -r 1 /srv/x", "<php> -d a=/b -r 1 /srv/x", "php"},
		{"node --eval 1 /srv/x", "<node> --eval 1 /srv/x", "node"},
		{"node --require a.js /srv/x.js", "node --require a.js </srv/x.js>", "x"},
		{"pwsh -enc Z/Z=", "<pwsh> -enc Z/Z=", "pwsh"},
		{"pwsh -ExecutionPolicy Bypass -File /srv/x.ps1", "pwsh -ExecutionPolicy Bypass -File </srv/x.ps1>", "x"},
		{"env X=y sh -c /srv/x", "<env> X=y sh -c /srv/x", "env"},
		{"env -S /srv/x", "<env> -S /srv/x", "env"},
		{"nice -n 5 cat /srv/x", "<nice> -n 5 cat /srv/x", "x"},
		{"timeout 5 /srv/x.sh", "timeout 5 </srv/x.sh>", "x"},
		{"time -o /srv/t /srv/x.sh", "time -o /srv/t </srv/x.sh>", "x"},
		{"su nobody -c /srv/x", "<su> nobody -c /srv/x", "su"},
		{"busybox sh -c /srv/x", "<busybox> sh -c /srv/x", "busybox"},
		{"/srv/node", "</srv/node>", "node"},
	} {
		replace := strings.NewReplacer("$D", dir, "$P", filepath.Dir(dir))
		s, err := NewScript("", strings.Fields(tt.command), dir, Settings{WorkingDirectory: filepath.Join(dir, "work")})
		if err != nil {
			t.Errorf("%s: %v", tt.command, err)
			continue
		}
		words := slices.Clone(s.Command)
		words[s.Program] = "<" + words[s.Program] + ">"
		if got := testkit.Slashed(strings.Join(words, " ")); got != testkit.Slashed(replace.Replace(tt.want)) || s.Name != tt.name {
			t.Errorf("%s\n got %s, named %s\nwant %s, named %s", tt.command, got, s.Name, replace.Replace(tt.want), tt.name)
		}
	}
}

// A script without a file of its own says so.
func TestScriptOwnFile(t *testing.T) {
	for line, want := range map[string]string{
		"/srv/x.sh a":              "/srv/x.sh",
		"df -h":                    "df",
		"sh /srv/x.sh":             "/srv/x.sh",
		"/srv/node":                "/srv/node", // of that name
		"sh -c /srv/x":             "",
		"/usr/bin/python3 -m a":    "",
		"env X=y sh -c /srv/x":     "",
		"nice -n 5 python3 -c a/b": "",
		"nice df /srv":             "",
	} {
		s, err := NewScript("", strings.Fields(line), "/", Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if got := testkit.Slashed(s.OwnFile()); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestNewScript(t *testing.T) {
	command, folder := []string{"./a.sh"}, t.TempDir()
	s, err := NewScript("x", command, folder, Settings{Dialect: "coscale", MaxSeries: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := &Script{
		Name:    "x",
		Command: []string{filepath.Join(folder, "a.sh")},
		Settings: Settings{
			Dialect:       "coscale",
			MaxSeries:     3,
			MaxOutput:     16 << 20,
			AverageWindow: 5 * time.Minute,
		},
	}
	if s.Fingerprint() != want.Fingerprint() || command[0] != "./a.sh" {
		t.Errorf("got %+v from %q, want %+v", s, command, want)
	}
	_, err = NewScript("", []string{"/srv/a\tb.sh"}, "/srv", Settings{})
	var e *Error
	if !errors.As(err, &e) || err.Error() != `name "a\tb" has characters that cannot be printed (give another name:)` {
		t.Errorf("a name with a tab: %v", err)
	}
}

// TestExecuted: which program a command comes down to.
func TestExecuted(t *testing.T) {
	for line, want := range map[string]string{
		"/x/a.sh -b":                             "/x/a.sh",
		"python3 /x/a.py":                        "python3",
		"nice /x/a.sh":                           "/x/a.sh",
		"nice -n 10 /x/a.sh -n 5":                "/x/a.sh",
		"nice -n10 ionice -c 3 -t /x/a.sh":       "/x/a.sh",
		"nice -10 python3 /x/a.py":               "python3",
		"/usr/bin/timeout -k 5 -s KILL 10s /x/a": "/x/a",
		"timeout --foreground 5 /x/a":            "/x/a",
		"timeout -- 5 /x/a":                      "/x/a",
		"env LANG=C TZ=UTC /x/a":                 "/x/a",
		"env -u LANG pyhton3 /x/a":               "pyhton3",
		"taskset -c 0,1 /x/a":                    "/x/a",
		"stdbuf -oL -e 0 /x/a":                   "/x/a",
		"setsid nohup time -f %e /x/a":           "/x/a",
		"timeout 5 -x":                           "",
		"timeout --":                             "",
		"nice":                                   "",
		"nice -n 10":                             "",
		"env -i /x/a":                            "",
		"env - /x/a":                             "",
		"env PATH=/y a":                          "",
		"env -S 'python3 -u' /x/a":               "",
		"env -vS 'python3 -u' /x/a":              "",
		"env --chdir=/y ./a":                     "",
		"ionice -p 5":                            "",
		"nice --adjustment=5 /x/a":               "",
		"sudo -u joe /x/a":                       "",
		"busybox sh /x/a":                        "",
		"nice sudo /x/a":                         "",
	} {
		words, err := cmdline.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		got, i := "", (&Script{Command: words}).Executed()
		if i >= 0 {
			got = words[i]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
