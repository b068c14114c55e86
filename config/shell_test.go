package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"scriptbridge/config/cmdline"
)

// TestShellSyntax writes commands into an entry and looks at what is said of
// them; $DIR is the folder of the configuration.
func TestShellSyntax(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has another shell: see TestWindowsSyntax")
	}
	const leaveOut = ", which only a shell understands, and no shell reads it (leave out the &: what a run leaves behind is ended with it; or put it in single quotes if it is meant as an argument)"
	const only, quoteIt = ", which only a shell understands, and no shell reads it (write command: ", "; or put it in single quotes if it is meant as an argument)"
	const inEnv = "which is given to the script as it stands (write it as a value of env:, and have the script read that variable)"
	for _, tt := range []struct {
		command  string // as YAML
		appended bool
		want     string
	}{
		// Nothing of it.
		{`./s.sh -a b --c=d`, true, ""},
		{`./s.sh '|' '>' '&&' '$HOME' '*.log' '~/x' ";" "a > b" "*"`, true, ""},
		{`sh -c 'a | b > c; echo $HOME *'`, true, ""},
		{`"sh -c \"a | b > $HOME/c\""`, true, ""},
		{`[sh, -c, 'a | b && c > $HOME/d']`, true, ""},
		{`[bash, -lc, "~/x.sh && y"]`, true, ""},
		{`powershell.exe -Command Get-Item | Sort`, false, ""},
		{`curl http://x.example/?a=1&b=2`, false, ""},
		{`check_x -w ~:10 -c @5:10 -r a->b --x=>5`, false, ""},
		{`grep -E foo$ [abc] x?`, false, ""},
		{`[tr, ",", "|"]`, false, ""},
		{`[awk, -F, ";", '{print $1 > 5}', "*.log"]`, false, ""},
		{`C:\scripts\x.ps1`, true, ""},

		{`./s.sh “a b” c`, true, "command has the quote “, which groups nothing (write \" or ' in its place)"},
		{`./s.sh ––all`, true, `command has "––all", which begins with a dash that is no hyphen (write --all)`},
		{`./s.sh —all=x`, true, `command has "—all=x", which begins with a dash that is no hyphen (write --all=x)`},
		{`[./s.sh, "−x"]`, true, `command has "−x", which begins with a dash that is no hyphen (write -x)`},
		{"./s.sh\u00a0a b", true, "command has the character U+00A0, which looks like a space or like nothing, and separates no words (write an ordinary space in its place, or remove it)"},
		{"./s.sh a\u200bb", true, "command has the character U+200B, which looks like a space or like nothing, and separates no words (write an ordinary space in its place, or remove it)"},
		{"./s.sh 'a\u00a0b' 'a – b' a-–b – c", true, ""},

		// Operators, behind whom the bridge's own arguments would end.
		{`./s.sh | grep x`, false, `command has "|"` + only + `[sh, -c, "./s.sh | grep x"] and name: s` + quoteIt},
		{`./s.sh | grep x`, true, `command has "|"` + only + `[sh, -c, './s.sh "$@" | grep x', sh] and name: s` + quoteIt},
		{`./s.sh|grep x`, true, `command has "./s.sh|grep"` + only + `[sh, -c, './s.sh "$@"|grep x', sh] and name: s` + ")"},
		{`./s.sh 2>&1`, true, `command has "2>&1"` + only + `[sh, -c, './s.sh "$@" 2>&1', sh] and name: s` + quoteIt},
		{`./s.sh a >/tmp/y`, true, `command has ">/tmp/y"` + only + `[sh, -c, './s.sh a "$@" >/tmp/y', sh] and name: s` + quoteIt},
		{`./s.sh a > /tmp/y`, false, `command has ">"` + only + `[sh, -c, "./s.sh a > /tmp/y"] and name: s` + quoteIt},
		{`./s.sh < in`, true, `command has "<"` + only + `[sh, -c, './s.sh "$@" < in', sh] and name: s` + quoteIt},
		{`./s.sh &> /dev/null`, true, `command has "&>"` + only + `[bash, -c, './s.sh "$@" &> /dev/null', bash] and name: s` + quoteIt},
		{`cd /x && ./s.sh`, true, `command has "cd"` + only + `[sh, -c, 'cd /x && ./s.sh "$@"', sh] and name: s` + ")"},
		{`cd /x; python3 y.py --all`, true, `command has "cd"` + only + `[sh, -c, 'cd /x; python3 y.py --all "$@"', sh] and name: "y"` + ")"},
		{`sleep 2 && ./s.sh`, true, `command has "&&"` + only + `[sh, -c, 'sleep 2 && ./s.sh "$@"', sh] and name: s` + quoteIt},
		{`sleep 2 && exit 1`, false, `command has "&&"` + only + `[sh, -c, "sleep 2 && exit 1"] and name: sleep` + quoteIt},
		{`./s.sh || true`, true, `command has "||"` + only + `[sh, -c, './s.sh "$@" || true', sh] and name: s` + quoteIt},
		{`./s.sh; echo done`, true, `command has "./s.sh;"` + only + `[sh, -c, './s.sh "$@"; echo done', sh] and name: s` + ")"},
		{`./s.sh &`, true, `command has "&"` + leaveOut},
		{`./s.sh -a b&`, false, `command has "b&"` + leaveOut},
		{`nohup ./s.sh "a b" &`, true, `command has "&"` + leaveOut},
		{`[./s.sh, "&"]`, true, ""},
		{`./s.sh > /tmp/y 2>&1 &`, true, `command has ">"` + only + `[sh, -c, './s.sh "$@" > /tmp/y 2>&1', sh] and name: s; without the & at its end, since what it starts is ended with its run` + quoteIt},
		{`~/s.sh &`, true, `command has "~/s.sh", but ~ and variables are not expanded (write the whole path, without the & behind it)`},
		{`bash --rcfile y.py s.sh | x`, false, `command has "|"` + only + `[sh, -c, "bash --rcfile y.py s.sh | x"] and name: s` + quoteIt},
		{`node --require ./y.py ./s.sh | x`, false, `command has "|"` + only + `[sh, -c, "node --require ./y.py ./s.sh | x"] and name: s` + quoteIt},
		{`java -cp ./y.py Main | x`, false, `command has "|"` + only + `[sh, -c, "java -cp ./y.py Main | x"] and name: java` + quoteIt},
		{`flock y.py ./s.sh | x`, true, `command has "|"` + only + `[sh, -c, 'flock y.py ./s.sh "$@" | x', sh] and name: s` + quoteIt},
		{`sh -c 'a' > /tmp/y`, false, `command has ">"` + only + `[sh, -c, "sh -c 'a' > /tmp/y"] and name: sh` + quoteIt},
		{`./s.sh "it's" | grep "x y"`, true, `command has "|"` + only + `[sh, -c, './s.sh "it''s" "$@" | grep "x y"', sh] and name: s` + quoteIt},
		{`(cd /x; ./s.sh)`, false, `command has "(cd"` + only + `[sh, -c, "(cd /x; ./s.sh)"] and name: s` + ")"},

		// Substitutions and patterns.
		{"./s.sh $(hostname)", false, `command has "$(hostname)"` + only + `[sh, -c, "./s.sh $(hostname)"] and name: s` + quoteIt},
		{"./s.sh `hostname`", true, "command has \"`hostname`\"" + only + "[sh, -c, './s.sh `hostname` \"$@\"', sh] and name: s" + quoteIt},
		{`./s.sh "$HOST"`, true, `command has "\"$HOST\""` + only + `[sh, -c, './s.sh "$HOST" "$@"', sh] and name: s` + quoteIt},
		{`./s.sh --host=${HOST}`, false, `command has "--host=${HOST}"` + only + `[sh, -c, "./s.sh --host=${HOST}"] and name: s` + quoteIt},
		{`./s.sh *.log`, false, `command has "*.log"` + only + `[sh, -c, "./s.sh *.log"] and name: s` + quoteIt},
		{`./s.sh ?.sh`, false, `command has "?.sh"` + only + `[sh, -c, "./s.sh ?.sh"] and name: s` + quoteIt},
		{`./s.sh [st].sh`, false, `command has "[st].sh"` + only + `[sh, -c, "./s.sh [st].sh"] and name: s` + quoteIt},

		// Paths.
		{`~/bin/s.sh`, true, `command has "~/bin/s.sh", but ~ and variables are not expanded (write the whole path)`},
		{`$HOME/bin/s.sh`, true, `command has "$HOME/bin/s.sh", but ~ and variables are not expanded (write the whole path)`},
		{`python3 ${HOME}/s.py`, true, `command has "${HOME}/s.py", but ~ and variables are not expanded (write the whole path)`},
		{`~joe/s.sh`, true, `command has "~joe/s.sh", but ~ and variables are not expanded (write the whole path)`},
		{`["~/s.sh", -a]`, true, `command has "~/s.sh", but ~ and variables are not expanded (write the whole path)`},
		{`[python3, $HOME/s.py]`, true, `command has "$HOME/s.py", but ~ and variables are not expanded (write the whole path)`},
		{`~/s.sh | sort`, false, `command has "~/s.sh"` + only + `[sh, -c, "~/s.sh | sort"] and name: s` + ")"},

		// Variables in front, whose values may be secrets.
		{`PASSWORD=hunter2 ./s.sh`, true, `command begins with PASSWORD=, which only a shell understands (leave it out, and write env: {PASSWORD: …})`},
		{`./s.sh --token=${env:TOKEN}`, true, "command has \"--token=${env:TOKEN}\", " + inEnv},
		{`./s.sh "${credential:api-token}"`, true, `command has "\"${credential:api-token}\"", ` + inEnv},
		{`[./s.sh, "${env:TOKEN}"]`, true, `command has "${env:TOKEN}", ` + inEnv},
		{`./s.sh '${env:TOKEN}'`, true, ""},
		{`[LANG=C, ./s.sh]`, true, `command begins with LANG=, which only a shell understands (leave it out, and write env: {LANG: …})`},

		// Lists.
		{`[./s.sh, "2>&1"]`, true, `command has "2>&1"` + only + `[sh, -c, './s.sh "$@" 2>&1', sh] and name: s)`},
		{`[cd, /x, "&&", ./s.sh, "a b"]`, true, `command has "cd"` + only + `[sh, -c, 'cd /x && ./s.sh ''a b'' "$@"', sh] and name: s)`},

		{"./s.sh | x\n    name: n", true, `command has "|"` + only + `[sh, -c, './s.sh "$@" | x', sh]` + quoteIt},
		{"./s.sh | x\n    working_directory: /tmp", false, `command has "|"` + only + `[sh, -c, "$DIR/s.sh | x"] and name: s` + quoteIt},
		{"./s.sh {a} | x\n    probe: true\n    parameters: {a: {pattern: b}}", false,
			`command has "|", which only a shell understands, and no shell reads it (put the line into a script of its own, and name that` + quoteIt},
	} {
		t.Run("", func(t *testing.T) { // a name would be part of the folder's
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			for name, text := range map[string]string{
				"s.sh": "", "y.py": "", "x.yml": "scripts:\n  - command: " + tt.command + "\n",
			} {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cfg, err := Load(testDialects, "x.yml", nil)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(cfg.Scripts[0].ShellSyntax(tt.appended), dir, "$DIR")
			if got != tt.want {
				t.Errorf("%s\ngot  %s\nwant %s", tt.command, got, tt.want)
			}
		})
	}
}

// TestShellOf: what only bash understands is given to bash, the rest to sh.
func TestShellOf(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has another shell: see TestWindowsSyntax")
	}
	for want, commands := range map[string][]string{
		"bash": {
			`./s.sh |& sort`, `./s.sh|&sort`, `./s.sh &> o`, `./s.sh &>> o`, `./s.sh >& o`, `./s.sh < <(ls)`, `./s.sh <(ls) | x`, `./s.sh | tee >(wc)`,
			`[[ -f x ]] && ./s.sh`, `if [[ a = b ]]; then ./s.sh; fi`, `source x && ./s.sh`, `cd /x; source y; ./s.sh`,
			`./s.sh $RANDOM`, `./s.sh ${RANDOM}`, `./s.sh "$RANDOM"`, `sleep $((RANDOM % 9)); ./s.sh`, `sleep $[ 1 + 1 ]; ./s.sh`, `./s.sh $BASHPID`, `./s.sh $EPOCHSECONDS`, `./s.sh $HOSTNAME`,
			`./s.sh <<< a`, `./s.sh <<<a`, `a=(1 2); ./s.sh`, `cd /x; a=(1 2); ./s.sh`, `./s.sh; a+=(1)`, `./s.sh; a+=1`, `./s.sh ${a[1]}`, `./s.sh "${a[@]}"`, `./s.sh; a[1]=2`,
			`./s.sh ${x//a/b}`, `./s.sh ${x/a}`, `./s.sh ${x^^}`, `./s.sh ${x,,}`, `./s.sh ${x:1:2}`, `./s.sh ${x:1}`, `./s.sh ${!x}`, `./s.sh ${x@Q}`, `./s.sh "${x//a/b}"`,
			`./s.sh {1..3}`, `./s.sh {a,b} | x`, `./s.sh a{b,c}d | x`, `function f { ./s.sh; }; f`, `./s.sh $'a' | x`, `./s.sh $"a" | x`,
			`((a++)); ./s.sh`, `(( 1 )) && ./s.sh`, `./s.sh $((x++))`, `./s.sh $((2**3))`, `for ((i=0;i<3;i++)); do ./s.sh; done`,
			`local -a x; ./s.sh`, `declare x=1; ./s.sh`, `typeset x=1; ./s.sh`, `let x=1; ./s.sh`, `shopt -s nullglob; ./s.sh`, `mapfile x < y; ./s.sh`,
			`pushd /x && ./s.sh`, `select x in a; do ./s.sh; done`, `coproc ./s.sh; x`, `set -o pipefail; ./s.sh`, `set -euo pipefail; ./s.sh`, `set -eo pipefail; ./s.sh`,
			`trap x ERR; ./s.sh`, `[ a == b ] && ./s.sh`, `read -a x < y; ./s.sh`, `export -f x; ./s.sh`, `printf -v x y; ./s.sh`, `exec -a x ./s.sh; y`, `./s.sh {fd}> o`,
			`case a in a) ./s.sh;;& b) x;; esac`, `echo x | while read -t 5 y; do ./s.sh; done`, `./s.sh | { readarray x; y; }`, `./s.sh & wait -n`,
		},
		"sh": {
			`./s.sh | sort`, `./s.sh || x`, `./s.sh 2>&1 | x`, `./s.sh >&2`, `./s.sh > o 2>&1`, `./s.sh 2>&-; x`, `cd /x && ./s.sh`, `. x && ./s.sh`, `./s.sh $HOME`, `./s.sh ${HOME}`,
			`./s.sh ${x:-a}`, `./s.sh ${x:=a} | x`, `./s.sh ${x:+a}`, `./s.sh ${x%%.*}`, `./s.sh ${x##a}`, `./s.sh ${#x}`, `./s.sh ${x%/*}`, `./s.sh $((1 + 2))`, `./s.sh << x`,
			`( ./s.sh; x )`, `{ ./s.sh; x; }`, `./s.sh *.log`, `[ a = b ] && ./s.sh`, `./s.sh '[[' 'a{1..3}' | x`, `./s.sh '<(x)' '$RANDOM' | x`, `./s.sh --source source | x`,
			`set -e; ./s.sh`, `set -o errexit; ./s.sh`, `./s.sh --function function | x`, `./s.sh {a} | x`, `./s.sh a&&x`, `f() { ./s.sh; }; f`, `./s.sh & wait`, `./s.sh ${x:-a/b}`, `./s.sh ${x:-$RANDOMLY}`,
			`local x; ./s.sh`, `read x < y; ./s.sh`, `read -r x < y; ./s.sh`, `export x; ./s.sh`, `case a in a) ./s.sh;; esac`, `./s.sh $RANDOMS`,
		},
	} {
		for _, command := range commands {
			s, err := NewScript("n", []string{"./s.sh"}, "/", Settings{})
			if err != nil {
				t.Fatal(err)
			}
			s.line = cmdline.NewLine(command, "/", true)
			if got := s.ShellSyntax(false); !strings.Contains(got, "(write command: ["+want+", -c, ") {
				t.Errorf("%s: %s; want %s", command, got, want)
			}
		}
	}
}
