package instrumental

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/windows"

	"scriptbridge/script/process"
)

// This file has been compiled and vetted but never run.

// checkOwner says why a script must not be run, and what to do: its folder or
// its file belongs to somebody else. There are no modes here, so that both
// settings of the option permissions mean this.
func checkOwner(file string, _ permissions, _ *process.Account) (remedy string, fault error) {
	for _, path := range []string{filepath.Dir(file), file} {
		if err := checkOurs(path); err != nil {
			return "give who runs scriptbridge a copy of the script in a folder of its own, or options: {permissions: off}", err
		}
	}
	return "", nil
}

// checkOurs says that path belongs to somebody else. What an administrator
// makes belongs to the group of administrators.
func checkOurs(path string) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("%s: its owner cannot be seen: %w", path, err)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return fmt.Errorf("%s: its owner cannot be seen: %w", path, err)
	}
	token := windows.GetCurrentProcessToken()
	self, err := token.GetTokenUser()
	if err != nil {
		return fmt.Errorf("who runs scriptbridge cannot be seen: %w", err)
	}
	if owner.Equals(self.User.Sid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) && token.IsElevated() {
		return nil
	}
	return fmt.Errorf("%s belongs to somebody else than runs scriptbridge", path)
}
