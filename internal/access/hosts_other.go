//go:build !windows

package access

// HostsFile is where the operator gives names to addresses.
func HostsFile() string { return "/etc/hosts" }
