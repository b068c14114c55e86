package process

import (
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What speaks to the bridge is for no script; a script of another user is given
// what cron would give it.
func TestEnvironment(t *testing.T) {
	env := []string{
		"PATH=/bin", "LISTEN_PID=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=a:b", "NOTIFY_SOCKET=/run/x",
		"WATCHDOG_USEC=1", "WATCHDOG_PID=1", "CREDENTIALS_DIRECTORY=/run/c", "INVOCATION_ID=x", "SYSTEMD_EXEC_PID=1", "MAINPID=1",
		"STATE_DIRECTORY=/x", "RUNTIME_DIRECTORY=/x", "SUDO_USER=a", "SCRIPTBRIDGE_API_TOKEN_FILE=/t",
		"JOURNAL_STREAM=8:1", "MEMORY_PRESSURE_WATCH=/x", "MEMORY_PRESSURE_WRITE=y", "SCRIPTBRIDGE_RUN=1",
		"LISTENER=kept", "JOURNAL_STREAMS=kept", "EMPTY=", "=odd", "LANG=C=LISTEN_FDS", "LC_ALL=C", "TZ=UTC", "TERM=dumb",
		"AWS_SECRET_ACCESS_KEY=s", "HTTP_PROXY=http://u:p@h", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "MAIL=/var/mail/root",
		"SSH_AUTH_SOCK=/s", "XDG_RUNTIME_DIR=/run/user/0", "LD_PRELOAD=/x.so", "PATHS=no", "LANGUAGE=no",
	}
	ours := []string{
		"PATH=/bin", "LISTENER=kept", "JOURNAL_STREAMS=kept", "EMPTY=", "=odd", "LANG=C=LISTEN_FDS", "LC_ALL=C", "TZ=UTC", "TERM=dumb",
		"AWS_SECRET_ACCESS_KEY=s", "HTTP_PROXY=http://u:p@h", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "MAIL=/var/mail/root",
		"SSH_AUTH_SOCK=/s", "XDG_RUNTIME_DIR=/run/user/0", "LD_PRELOAD=/x.so", "PATHS=no", "LANGUAGE=no",
	}
	if runtime.GOOS == "windows" {
		environmentOfWindows(t)
	}
	alice := &Account{Name: "alice", Home: "/home/alice", Shell: "/bin/zsh"}
	login := []string{"HOME=/home/alice", "USER=alice", "LOGNAME=alice", "SHELL=/bin/zsh"}
	few := []string{"PATH=/bin", "LANG=C=LISTEN_FDS", "LC_ALL=C", "TZ=UTC", "TERM=dumb"}
	for _, test := range []struct {
		name    string
		account *Account
		pass    []string
		want    []string

		withheld []string
	}{
		{"ours", nil, nil, ours, nil},
		{"another's", alice, nil, append(few[:len(few):len(few)], login...), nil},
		{"another's, with more", alice, []string{"HTTP_PROXY", "CREDENTIALS_DIRECTORY", "HOME", "MISSING"},
			append([]string{"PATH=/bin", "CREDENTIALS_DIRECTORY=/run/c", "LANG=C=LISTEN_FDS", "LC_ALL=C", "TZ=UTC", "TERM=dumb", "HTTP_PROXY=http://u:p@h"}, login...), nil},
		// They speak in the name of one process: no other one may have them.
		{"another's, with what nobody is given", alice, []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"}, append(few[:len(few):len(few)], login...), nil},
		{"ours, with what nobody is given", nil, []string{"NOTIFY_SOCKET", "WATCHDOG_PID", "LISTEN_PID"}, ours, nil},
		{"ours, with what is the supervisor's", nil, []string{"INVOCATION_ID"}, append([]string{"PATH=/bin", "INVOCATION_ID=x"}, ours[1:]...), nil},
		// A variable that holds a secret for the bridge is for no script that does not name it.
		{"ours, with a secret", nil, nil, slices.DeleteFunc(slices.Clone(ours), func(v string) bool { return nameOf(v) == "AWS_SECRET_ACCESS_KEY" }), []string{"AWS_SECRET_ACCESS_KEY", "AWS"}},
		{"ours, with a secret that is asked for", nil, []string{"AWS_SECRET_ACCESS_KEY"}, ours, []string{"AWS_SECRET_ACCESS_KEY"}},
		{"another's, with a secret", alice, nil, append(few[:len(few):len(few)], login...), []string{"AWS_SECRET_ACCESS_KEY", "TZ", "PATH"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Environment(env, test.account, test.pass, test.withheld)); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

// environmentOfWindows: the names of variables have no case there.
func environmentOfWindows(t *testing.T) {
	env := []string{`=C:=C:\x`, `Path=C:\x`, `SystemRoot=C:\Windows`, "listen_fds=1", "Scriptbridge_Run=1", "Api_Key=s", "Tmp=x", "apiKey=y"}
	want := []string{`=C:=C:\x`, `Path=C:\x`, `SystemRoot=C:\Windows`, "Tmp=x", "apiKey=y"}
	if diff := cmp.Diff(want, Environment(env, nil, nil, []string{"API_KEY", "SYSTEMROOT", "PATH", "TMP"})); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if got := Environment(env, nil, []string{"API_KEY"}, []string{"api_key"}); !slices.Contains(got, "Api_Key=s") {
		t.Errorf("what pass_env names is withheld: %q", got)
	}
	if got := LastEnv(append(env, "PATH=last"), "path"); got != "last" {
		t.Errorf("PATH is %q", got)
	}
}
