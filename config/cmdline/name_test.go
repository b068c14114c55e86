package cmdline

import (
	"strings"
	"testing"
)

// A command is named by what differs from one such command to the next, wherever the
// file lies and whether it is there.
func TestName(t *testing.T) {
	for line, want := range map[string]string{
		// The script's own file.
		"/srv/disks.sh -v": "disks", "df -P": "df", "python3 -u /srv/disks.py": "disks", "sh -c true": "sh", "awk -f /srv/a.awk /srv/b": "a",
		"/srv/cat.sh /srv/x.prom": "cat", "nice -n 5 /srv/disks.sh": "disks",
		// What is read.
		"cat /srv/x.prom": "x", "/bin/cat /srv/x.prom": "x", "cat x.prom": "x", "cat -- x.prom": "x", "cat -v /srv/a.b.prom": "a.b", "cat /srv/x.prom /srv/y.prom": "x",
		"sudo cat /srv/x.prom": "x", "sudo -u nobody /bin/cat /srv/x.prom": "x", "timeout 5 cat /srv/x.prom": "x", "timeout 5 nice cat /srv/x.prom": "x", "env LANG=C cat x.prom": "x",
		"head -n 20 /srv/x.prom": "x", "head -n20 /srv/x.prom": "x", "head --lines 20 /srv/x.prom": "x", "tail -n +2 /srv/x.prom": "x", "head -20 x.txt": "x",
		"zcat /srv/x.prom.gz": "x", "gzip -dc /srv/x.prom.gz": "x", "xz -dc x.prom.xz": "x", "bzcat x.tar.bz2": "x",
		"grep -v ^# /srv/x.prom": "x", "sed s/a/b/ x.prom": "x", "jq -r .a x.json": "x",
		"cat": "cat", "cat -": "cat", "head -n 5": "head", "grep x": "grep", "cat {file}": "cat", "sudo cat": "cat",
		// An address, without what may be a secret.
		"curl http://localhost:9100/metrics": "localhost-9100-metrics", "curl -s -H Accept:x http://u:p@db1/metrics?token=t": "db1-metrics", "curl localhost:9100/metrics": "localhost-9100-metrics",
		"curl -m 5 -fsS -o - https://db1/": "db1", "wget -qO- http://db2/a/b.txt": "db2-a-b.txt", "curl --max-time 5 --header X http://[::1]:9100/m": "1--9100-m",
		"curl -x http://proxy:3128 http://db1/m": "db1-m", "curl file:///srv/x.prom": "x", "curl http://{host}/metrics": "curl", "curl -K curlrc": "curl",
		// The program of a wrapper.
		"sudo df -P": "df", "timeout 5 df": "df", "nice sudo -n df": "df", "sudo": "sudo", "python3 -m http.check": "python3", "python3 gone.py": "python3",
		"python3 -m": "python3", "perl -e 1": "perl",
	} {
		words, program, file := FindOwnFile(strings.Fields(line), "/conf", "")
		words[program] = file
		if got := Name(words, program); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
