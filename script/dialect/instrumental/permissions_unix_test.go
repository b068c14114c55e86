//go:build unix

package instrumental

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scriptbridge/internal/trust"
	"scriptbridge/script/process"
	"scriptbridge/script/process/processtest"
)

func TestCheckOwner(t *testing.T) {
	us := trust.UserName(uint32(os.Geteuid()))
	path := processtest.WriteScript(t, "a'p p.sh", "", 0o700)
	folder := filepath.Dir(path)
	other := &process.Account{Name: "other", UID: uint32(os.Geteuid()) + 4242}
	const aside = "move the script to a folder of its own with mode 0700"
	lend := fmt.Sprintf("belongs to %s, not to %d, who would run it: let %[2]d have a copy of the script in a folder of its own with mode 0700", us, other.UID)
	for _, c := range []struct {
		dirMode, mode os.FileMode
		allowed       permissions
		runAs         *process.Account
		want          string
	}{
		{0o700, 0o700, ownerOnly, nil, ""},
		{0o700, 0o700, notWritableByOthers, nil, ""},
		{0o755, 0o755, notWritableByOthers, nil, ""},
		{0o700, 0o500, notWritableByOthers, nil, ""},
		{0o700, 0o755, ownerOnly, nil, "FILE has mode 0755, not 0700: chmod 0700 QUOTED"},
		{0o700, 0o500, ownerOnly, nil, "FILE has mode 0500, not 0700: chmod 0700 QUOTED"},
		{0o700, 0o700 | os.ModeSetuid, ownerOnly, nil, "FILE has mode 4700, not 0700: chmod 0700 QUOTED"},
		{0o700, 0o720, notWritableByOthers, nil, "FILE has mode 0720, others may write it: chmod go-w QUOTED"},
		{0o700, 0o702, notWritableByOthers, nil, "FILE has mode 0702, others may write it: chmod go-w QUOTED"},
		{0o755, 0o700, ownerOnly, nil, "its folder DIR has mode 0755, not 0700: " + aside},
		{0o777 | os.ModeSticky, 0o700, ownerOnly, nil, "its folder DIR has mode 1777, not 0700: " + aside},
		{0o775, 0o777, notWritableByOthers, nil, "its folder DIR has mode 0775, others may write it: " + aside},
		{0o700, 0o700, ownerOnly, other, "its folder DIR " + lend},
	} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(folder, c.dirMode); err != nil {
			t.Fatal(err)
		}
		got := ""
		if remedy, fault := checkOwner(path, c.allowed, c.runAs); fault != nil {
			quoted := "'" + folder + `/a'\''p p.sh'`
			got = strings.NewReplacer(quoted, "QUOTED", path, "FILE", folder, "DIR").Replace(fault.Error() + ": " + remedy)
		}
		if got != c.want {
			t.Errorf("%v in %v, %s: %q, want %q", c.mode, c.dirMode, c.allowed, got, c.want)
		}
	}
	// Root's scripts are good enough for others, where they need not be one's own.
	os.Chmod(folder, 0o700)
	os.Chmod(path, 0o700)
	if _, fault := checkOwner(path, notWritableByOthers, other); (fault == nil) != (os.Geteuid() == 0) {
		t.Errorf("root's script for another: %v", fault)
	}
}
