package winservice

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAccount(t *testing.T) {
	const password = `an account with a password cannot be named here (write LocalSystem, LocalService, NetworkService or a managed account such as DOMAIN\name$; or install without the flag, and give account and password in services.msc, under Log On)`
	for name, want := range map[string]string{
		`NT SERVICE\scriptbridge`:   `NT SERVICE\scriptbridge <nil>`,
		`nt service\ScriptBridge`:   `NT SERVICE\scriptbridge <nil>`,
		`localsystem`:               `LocalSystem <nil>`,
		`NT AUTHORITY\SYSTEM`:       `LocalSystem <nil>`,
		`SYSTEM`:                    `LocalSystem <nil>`,
		`LocalService`:              `NT AUTHORITY\LocalService <nil>`,
		`nt authority\localservice`: `NT AUTHORITY\LocalService <nil>`,
		`NetworkService`:            `NT AUTHORITY\NetworkService <nil>`,
		`CORP\bridge$`:              `CORP\bridge$ <nil>`,
		`bridge$`:                   ` --account=bridge$: ` + password,
		`CORP\anna`:                 ` --account=CORP\anna: ` + password,
		`anna@corp.example`:         ` --account=anna@corp.example: ` + password,
		``:                          ` --account=: ` + password,
		`NT SERVICE\W32Time`:        ` --account=NT SERVICE\W32Time is another service's account (write NT SERVICE\scriptbridge, or leave the flag out)`,
	} {
		account, err := Account(name)
		if got := fmt.Sprint(account, " ", err); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
}

// The SID is the one that Windows documents for a service of its own.
func TestSID(t *testing.T) {
	for _, name := range []string{"TrustedInstaller", "trustedinstaller"} {
		if got, want := sid(name), "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"; got != want {
			t.Errorf("of %s it is %s, not %s", name, got, want)
		}
	}
}

func TestSeverityOf(t *testing.T) {
	for line, want := range map[string]severity{
		`level=info ts=2026-11-27T07:34:58.390Z msg="starting scriptbridge"`:                 information,
		`level=debug ts=2026-11-27T07:34:58.390Z msg=x`:                                      information,
		`level=warn ts=2026-11-27T07:34:58.390Z msg="level=error "`:                          warning,
		`ts=2026-11-27T07:34:58.390Z level=error msg=x`:                                      failure,
		`{"level":"warn","msg":"x","ts":"2026-11-27T07:34:58.390Z"}`:                         warning,
		`{"err":"{\"level\":\"info\"}","level":"error","msg":"x"}`:                           failure,
		`scriptbridge: C:\scriptbridge.yml:3: unknown key "scirpts" (did you mean scripts?)`: failure,
		`script=a level=info msg=x`:                                                          failure,
		`{"level":"loud"}`:                                                                   failure,
		`{`:                                                                                  failure,
	} {
		if got := severityOf(line, failure); got != want {
			t.Errorf("%s has severity %d, not %d", line, got, want)
		}
	}
}

// Each line is one entry, and a line that is too long several; nothing of it is lost.
func TestEntries(t *testing.T) {
	type entry struct {
		s    severity
		id   uint32
		text string
	}
	var got []entry
	e := &entries{id: idLog, otherwise: failure, report: func(s severity, id uint32, text string) error {
		got = append(got, entry{s, id, text})
		return nil
	}}
	text := "level=info ts=1 msg=a\r\nlevel=warn ts=2 msg=\xffb\x00\n\nscriptbridge: c"
	if n, err := e.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
	e.id, e.otherwise = idEvents, information
	if _, err := e.Write([]byte("level=error category=x\n")); err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{information, 1, "level=info ts=1 msg=a"}, {warning, 1, "level=warn ts=2 msg=\uFFFDb\uFFFD"}, {failure, 1, "scriptbridge: c"},
		{information, 2, "level=error category=x"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("the entries are\n%v\nnot\n%v", got, want)
	}
	full := errors.New("full")
	e.report = func(severity, uint32, string) error { return full }
	if n, err := e.Write([]byte("a\n")); n != 0 || !errors.Is(err, full) {
		t.Errorf("it is told %d, %v", n, err)
	}
}

func TestPieces(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"abc", []string{"abc"}}, {"abcd", []string{"abcd"}}, {"abcde", []string{"abcd", "e"}},
		{"äöüßé", []string{"äöüß", "é"}},
		{"a\U0001F600b\U0001F600", []string{"a\U0001F600b", "\U0001F600"}}, // two units each
		{"abc\U0001F600", []string{"abc", "\U0001F600"}},
		{"a\x00b", []string{"a\uFFFDb"}},
	} {
		if got := pieces(c.text, 4); !slices.Equal(got, c.want) {
			t.Errorf("%q becomes %q, not %q", c.text, got, c.want)
		}
	}
	long := strings.Repeat("x", 100_000)
	if got := pieces(long, mostOfEntry); len(got) != 4 || strings.Join(got, "") != long {
		t.Errorf("it becomes %d pieces", len(got))
	}
}
