package main

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the program for Windows says and opens is no command and no path of Unix: nobody there
// has chmod, and \etc is a folder that every user may make. What is listed here is no such
// thing where it stands.
func TestWindowsTexts(t *testing.T) {
	allowed := map[string][]string{
		"flagerrors.go":                         {"/usr/local/bin/backup", "kill -HUP", "here systemd runs the bridge"}, // an example; the other systems' answers
		"check.go":                              {"chmod +x"},                                                           // likewise
		"cli/wrap.go":                           {"/usr/local/bin/backup"},
		"config/cmdline/leaders.go":             {"sudo", "systemd-cat", "systemd-run", "systemd-inhibit"}, // programs that are known
		"config/cmdline/shell.go":               {"ulimit", "umask"},                                       // words of Unix shells
		"config/formats.go":                     {"umask"},                                                 // a key, which Windows refuses
		"config/settings.go":                    {"umask"},
		"config/listen.go":                      {"CAP_NET_BIND_SERVICE"}, // the other systems' answer
		"internal/limits/limits.go":             {"CAP_SYS_NICE"},         // likewise
		"textfile/textfile.go":                  {"ProtectSystem="},       // likewise
		"serve.go":                              {"LISTEN_FDS", "go-systemd"},
		"internal/sdnotify/protocol_systemd.go": {"go-systemd"},
		"receivers.go":                          {"--web.systemd-socket"}, // a flag of Linux
		"internal/winservice/winservice.go":     {"here systemd runs the bridge"},
		"script/process/wrap.go":                {"/bin/sh"},
		"tools/wine":                            nil,
		"internal/testkit":                      nil,
		"takeover":                              nil,                                                                                                                                                                // what it reads are the files of a Unix host
		"config/secret.go":                      {"/run/credentials/scriptbridge.service", "only systemd gives credentials", "give the unit LoadCredential=", "LoadCredential= in the unit", "it is set in a unit"}, // the other systems' answers
		"cli/init.go":                           {"--from=nrpe=/opt/nrpe.cfg"},                                                                                                                                      // of a Unix host
		"receive/collectd/types.go":             {"/usr/share/collectd/types.db"},
		"script/dialect/scalyr/agent.go":        {"/usr/share/scalyr-agent-2/py"},
	}
	foreign := regexp.MustCompile(`\b(chmod|chown|systemctl|sudo|journalctl|systemd|ulimit|umask|setcap|SIGHUP|LoadCredential|ProtectSystem)\b|\bCAP_[A-Z]|\bkill -|(^|[\s="'(])/(bin|etc|usr|var|opt|proc|sys|dev|run|tmp|lib)/`)
	windows := build.Default
	windows.GOOS, windows.CgoEnabled = "windows", false
	found := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(path)
		if entry.IsDir() {
			whole, listed := allowed[slashed]
			if listed && whole == nil || entry.Name() == "testdata" || slices.Contains([]string{".build", ".git", "tools", "packaging", "e2e", "web/browser"}, slashed) || strings.HasSuffix(entry.Name(), "test") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		if built, err := windows.MatchFile(filepath.Dir(path), entry.Name()); err != nil || !built {
			return err
		}
		for _, text := range stringsOf(t, path) {
			if !foreign.MatchString(text) {
				continue
			}
			if i := slices.IndexFunc(allowed[slashed], func(known string) bool { return strings.Contains(text, known) }); i >= 0 {
				found[slashed+allowed[slashed][i]] = true
				continue
			}
			t.Errorf("%s: on Windows there is no such thing: %q", path, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, known := range allowed {
		for _, text := range known {
			if !found[file+text] {
				t.Errorf("%s does not say %q any more", file, text)
			}
		}
	}
}

// stringsOf gives the strings of a file, without the tags of structs.
func stringsOf(t *testing.T, path string) (all []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			n.Tag = nil
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				all = append(all, text)
			}
		}
		return true
	})
	return all
}
