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
