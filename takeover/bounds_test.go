package takeover_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestBounds: of more scripts than a configuration has, the first are taken over, and
// the others are told.
func TestBounds(t *testing.T) {
	var nrpe strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&nrpe, "command[c%d]=/opt/x %d\n", i%5900, i)
	}
	root := t.TempDir()
	unpack(t, root, []txtar.File{{Name: "etc/nagios/nrpe.cfg", Data: []byte(nrpe.String())}, {Name: "opt/x", Data: []byte("#!/bin/sh\n")}})
	made, told, err := initIn(t, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	large := t.TempDir()
	text := []byte("command[x]=/opt/x " + strings.Repeat("x", 3<<19) + "\n")
	unpack(t, large, []txtar.File{{Name: "etc/nagios/nrpe.cfg", Data: text}, {Name: "usr/local/etc/nrpe.cfg", Data: text}, {Name: "opt/x", Data: []byte("#!/bin/sh\n")}})
	if _, _, err := initIn(t, large, nil); err == nil || err.Error() != "the configuration would have more than the 2 MiB that a file may have (--tool=TOOL takes over one tool alone; include: takes further files)" {
		t.Error(err)
	}
	if n := strings.Count(made, "\n  - name: "); n != 5000 {
		t.Errorf("it has %d scripts", n)
	}
	for _, want := range []string{
		"\n  /etc/nagios/nrpe.cfg:1: command[c0] is defined again at /etc/nagios/nrpe.cfg:5901\n",
		"\n  /etc/nagios/nrpe.cfg:5101: this entry and 899 others: a configuration has at most 5000 here (include: takes further files)\n",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("it does not tell %q", want)
		}
	}
}

// TestIncludedTooDeep: of files that include one another, one that is too deep costs no
// other: what is included after it, and is less deep, is read.
func TestIncludedTooDeep(t *testing.T) {
	for file, c := range map[string]struct{ include, text string }{
		"etc/nagios/nrpe.cfg":   {"include=%s\n", "command[x]=/opt/%s\n"},
		"etc/nagios/nagios.cfg": {"cfg_file=%s\n", "define host {\nhost_name %[1]s\n}\ndefine command {\ncommand_name %[1]s\ncommand_line /opt/%[1]s\n}\ndefine service {\nhost_name %[1]s\nservice_description s\ncheck_command %[1]s\n}\n"},
		"etc/collectd.conf":     {"Include \"%s\"\n", "<Plugin unixsock>\nSocketFile \"/opt/%s\"\n</Plugin>\n"},
	} {
		const deepest = 10
		files := []txtar.File{{Name: "srv/deep", Data: fmt.Appendf(nil, c.text, "deep")}, {Name: "srv/sibling", Data: fmt.Appendf(nil, c.text, "sibling")}}
		next := "/srv/deep"
		for i := deepest; i > 0; i-- {
			name := fmt.Sprintf("srv/%d", i)
			if i == 1 {
				name = file
			}
			text := fmt.Sprintf(c.include, next)
			if i == deepest-1 {
				text += fmt.Sprintf(c.include, "/srv/sibling")
			}
			files = append(files, txtar.File{Name: name, Data: []byte(text)})
			next = "/" + name
		}
		root := t.TempDir()
		unpack(t, root, files)
		made, _, err := initIn(t, root, nil)
		if err != nil || strings.Contains(made, "/opt/deep") || !strings.Contains(made, "/opt/sibling") {
			t.Errorf("%s: %v\n%s", file, err, made)
		}
	}
}
