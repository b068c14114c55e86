package access

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// HostsFile is where the operator gives names to addresses: not where the environment may
// say that Windows is.
func HostsFile() string {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return "" // there is no file of this name
	}
	return filepath.Join(system, "drivers", "etc", "hosts")
}
