package script

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// This file has been compiled and vetted but never run.

// checkOwner says why a script that is path, or is in the folder path, must not
// be run: it belongs to somebody else. There are no modes here, so that both
// settings of the option permissions mean this. What an administrator makes
// belongs to the group of administrators.
func checkOwner(path string, _ permissions, _ *account) error {
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
	return fmt.Errorf("%s belongs to somebody else than runs scriptbridge: change its owner, or options: {permissions: off}", path)
}
