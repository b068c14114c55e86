package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scriptbridge/config/cmdline"
)

// TestOwnFileBehind: the script's own file is found behind every interpreter
// and wrapper, whatever options stand before it and whether or not their values
// are files; D is such a file.
func TestOwnFileBehind(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "w"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"w/g.sh", "w/g.java", "w/data.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for command := range strings.SplitSeq(strings.TrimSpace(`
bash +x w/g.sh
bash +o posix w/g.sh
bash -O extglob +O nullglob w/g.sh a
bash -eu -o pipefail w/g.sh
bash -euo pipefail w/g.sh
bash --rcfile D w/g.sh
bash --init-file D -i w/g.sh
bash --norc --noprofile w/g.sh
bash - w/g.sh
sh -- w/g.sh -c a
zsh --emulate sh w/g.sh
fish --init-command D w/g.sh
node --require D w/g.sh
node -r D w/g.sh
node -rD w/g.sh
node --require=D w/g.sh
node --import D --loader D --env-file D w/g.sh
node --no-warnings --max-old-space-size=64 w/g.sh D
python3 -W D -X D w/g.sh
python3 -u -B -E w/g.sh D
python3 --check-hash-based-pycs always w/g.sh
perl -I D -Mfoo w/g.sh
perl -w -T -d:Trace w/g.sh
ruby -r D -I D w/g.sh
ruby --encoding D w/g.sh
php -c D -d x=y -f w/g.sh
php -c D w/g.sh
php --php-ini D --file w/g.sh
php -fw/g.sh
php --file=w/g.sh
java -cp D -jar w/g.sh
java -javaagent:D -Xmx64m --module-path D -jar w/g.sh
java -cp D w/g.java
java --source 17 w/g.sh
java --source=17 -cp D w/g.sh
pwsh -File w/g.sh -Command D
pwsh -NoProfile -ep Bypass -wd D -f w/g.sh
lua -l D w/g.sh
luajit -j D w/g.sh
Rscript --vanilla w/g.sh
Rscript --default-packages=D w/g.sh
tclsh w/g.sh D
tclsh -encoding D w/g.sh
expect -f w/g.sh D
expect -D 1 -- w/g.sh
awk -f w/g.sh D
awk -v D -F : -f w/g.sh D
awk -fw/g.sh D
gawk --file=w/g.sh D
gawk -i D --file w/g.sh D
flock D w/g.sh
flock -n D w/g.sh D
flock -w 5 -E D D bash +x w/g.sh
flock --timeout 5 D w/g.sh
prlimit --nofile=100 w/g.sh
prlimit -n100 --output D w/g.sh
setpriv --reuid 0 --regid D w/g.sh
setpriv --reuid=0 --clear-groups -- w/g.sh
unshare -n w/g.sh
unshare -mn --wd D w/g.sh
unshare -S 0 -- w/g.sh
nsenter -t 1 -mu w/g.sh
strace -f w/g.sh
strace -o D -e D -qq bash w/g.sh
strace --output D w/g.sh
ltrace -o D w/g.sh
catchsegv w/g.sh
valgrind --log-file=D w/g.sh
taskset 0x3 w/g.sh
taskset -c 0,1 w/g.sh
numactl -N 0 --membind D w/g.sh
cgexec -g D --sticky w/g.sh
systemd-cat -t D -p info w/g.sh
systemd-cat --identifier D w/g.sh
systemd-run --scope w/g.sh
systemd-run --pipe --wait -u D -p a=D -E A=D --uid D w/g.sh
sudo -u D w/g.sh
sudo --user D -n A=b w/g.sh
doas -u D w/g.sh
runuser -u D -- w/g.sh
runuser -u D w/g.sh
runuser --user D -- python3 -X D w/g.sh
runuser D w/g.sh
runuser - D w/g.sh
su D w/g.sh
su -s D - D w/g.sh
chroot / w/g.sh
chroot --userspec D / w/g.sh
nohup w/g.sh
setsid -w w/g.sh
stdbuf -oL -e D w/g.sh
stdbuf --output D w/g.sh
unbuffer -p w/g.sh
time -f D -o D w/g.sh
time --output D w/g.sh
timeout -k D 5 w/g.sh
timeout --signal D 5 w/g.sh
nice --adjustment D w/g.sh
ionice --class D w/g.sh
env -u D A=D w/g.sh
env --chdir D w/g.sh
chrt -r 10 w/g.sh
chrt -o w/g.sh
script -q D w/g.sh
ssh-agent -a D w/g.sh
ssh-agent w/g.sh
xvfb-run -a -s D w/g.sh
xvfb-run --server-args D w/g.sh
dbus-run-session --config-file D -- w/g.sh
faketime -f D w/g.sh
fakeroot -s D w/g.sh
fakeroot -- w/g.sh
choom -n D -- w/g.sh
choom --adjust D w/g.sh
busybox sh w/g.sh
busybox timeout 5 sh -x w/g.sh
gosu D w/g.sh
nice flock D sudo -u D bash --rcfile D w/g.sh`), "\n") {
		for _, data := range []string{"w/data.json", "data"} {
			words := strings.Fields(command)
			want := ""
			for i, w := range words {
				if strings.Contains(w, "D") && !strings.HasPrefix(w, "-D") {
					words[i] = strings.Replace(w, "D", data, 1)
				}
				if at := strings.Index(w, "w/g."); at >= 0 {
					want = filepath.Join(dir, w[at:])
				}
			}
			s, err := NewScript("", words, dir, Settings{})
			if err != nil {
				t.Errorf("%q: %v", words, err)
			} else if s.OwnFile() != want || s.Name != "g" {
				t.Errorf("%q: own file %q, name %q; want %q, g", words, s.OwnFile(), s.Name, want)
			}
		}
	}

	// There is none: code, a class, a tree of its own.
	for command := range strings.SplitSeq(strings.TrimSpace(`
bash --rcfile w/data.json
bash --rcfile w/data.json -c w/g.sh
sh -ce w/g.sh
sh -c -e w/g.sh
bash -co pipefail w/g.sh
node --require w/data.json -e w/g.sh
python3 -X w/data.json -m w/g.sh
java -cp w/data.json Main w/g.sh
java -cp w/data.json a/Main w/g.sh
java -p w/data.json -m a/b w/g.sh
awk -v a=w/data.json /w/{print} w/g.sh
gawk -e 1 w/g.sh
pwsh -wd w/data.json -c w/g.sh
flock w/data.json -c w/g.sh
flock -n w/data.json --command w/g.sh
flock w/data.json sh -c w/g.sh
su -c w/g.sh
su -s w/data.json nobody -c w/g.sh
runuser -u nobody -- sh -c w/g.sh
script -q -c w/g.sh w/data.json
script w/data.json
chroot w w/g.sh
lua -l w/data.json -e w/g.sh
php -c w/data.json -r w/g.sh`), "\n") {
		words := strings.Fields(command)
		s, err := NewScript("", words, dir, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.OwnFile(); got != "" || s.Name != words[0] {
			t.Errorf("%q: own file %q, name %q; want none", words, got, s.Name)
		}
	}
	// What it reads names it, and is not its own file either.
	s, err := NewScript("", strings.Fields("setpriv --reuid 0 cat w/data.json"), dir, Settings{})
	if err != nil || s.OwnFile() != "" || s.Name != "data" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestFreeWords: what comes from a request can choose neither the code nor an
// option.
func TestFreeWords(t *testing.T) {
	for command, want := range map[string]int{
		"sh -c code a":         3,
		"sh -c -e code a":      4,
		"bash -co posix cod a": 4,
		"flock l -c code a":    4,
		"awk -f /x/a.awk a":    4,
		"awk -f /x/a.awk -- a": 4,
		"awk -v a=b code a":    4,
		"php -f /x/a.php a":    4,
		"php -f /x/a.php -- a": 4,
		"pwsh -File /x/a a":    3,
		"java -jar /x/a a":     3,
		"bash --rcfile /x /y ": 4,
		"java -cp /x Main a":   5,
	} {
		s, err := NewScript("", strings.Fields(command), "/", Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if got := cmdline.FreeWords(s.Command, s.Program); got != want {
			t.Errorf("%s: %d, want %d", command, got, want)
		}
	}
}
