// Package winservice runs the program as a service of Windows, under the service control
// manager, with the event log for its words; and it installs and removes that service.
//
// run_windows.go is the service itself, install_windows.go what installs it, eventlog.go what
// becomes of lines in the event log.
package winservice

import (
	"crypto/sha1" //nolint:gosec // a service's SID is made of it
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// Name is what the service and its source in the event log are called.
const Name = "scriptbridge"

// Grace is how long the program may take to end after it was told to; then it ends at
// once. It is TimeoutStopSec= of the systemd unit.
const Grace = 30 * time.Second

// Program is what runs as a service.
type Program struct {
	// Run is the program. It calls ready when it does its work, and may do so again; what it
	// writes is in the event log. Its result is the exit code.
	Run func(ready func(), log, events io.Writer) int
	// Stop asks it for its end, Hurry for an end at once, and Reload to read its
	// configuration again. None of them waits.
	Stop, Hurry, Reload func()
}

// VirtualAccount is the account that Windows makes for the service alone.
const VirtualAccount = `NT SERVICE\` + Name

// LocalSystem is the account that may do everything, as root elsewhere.
const LocalSystem = "LocalSystem"

// Account gives the name by which Windows knows the account that --account names. An
// account that has a password is refused: that would stand in a command line.
func Account(name string) (string, error) {
	known := map[string]string{
		`localsystem`: LocalSystem, `system`: LocalSystem, `nt authority\system`: LocalSystem, `.\localsystem`: LocalSystem,
		`localservice`: `NT AUTHORITY\LocalService`, `nt authority\localservice`: `NT AUTHORITY\LocalService`,
		`networkservice`: `NT AUTHORITY\NetworkService`, `nt authority\networkservice`: `NT AUTHORITY\NetworkService`,
		strings.ToLower(VirtualAccount): VirtualAccount,
	}
	if account, ok := known[strings.ToLower(name)]; ok {
		return account, nil
	}
	if strings.HasPrefix(strings.ToLower(name), `nt service\`) {
		return "", fmt.Errorf("--account=%s is another service's account (write %s, or leave the flag out)", name, VirtualAccount)
	}
	if strings.HasSuffix(name, "$") && strings.Contains(name, `\`) { // managed by the domain, which knows the password
		return name, nil
	}
	return "", fmt.Errorf(`--account=%s: an account with a password cannot be named here (write LocalSystem, LocalService, NetworkService or a managed account such as DOMAIN\name$; or install without the flag, and give account and password in services.msc, under Log On)`, name)
}

// sid gives the SID of the virtual account of a service, which is made of its name.
func sid(service string) string {
	var text []byte
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(service))) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	hash := sha1.Sum(text) //nolint:gosec // see above
	made := "S-1-5-80"
	for part := range slices.Chunk(hash[:], 4) {
		made += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(part))
	}
	return made
}

// Installation is a service to be installed.
type Installation struct {
	Program string   // its file
	Account string   // as Account gives it
	Args    []string // of the program
	Storage string   // a folder that the account must be able to write; "" for none
}

// Installed is one that was.
type Installed struct {
	Command string   // its command line
	Lacks   []string // what this system does not know of it
	// Kept is the storage folder where it was there before: its permissions are as they were.
	Kept string
}

// Removed is what is left of a service that was removed.
type Removed struct {
	Args []string // the program's
}

// The errors that have a remedy.
var (
	ErrInstalled    = errors.New("the service " + Name + " is installed already (to change its flags remove it with: scriptbridge service remove, and install it again; its configuration and its storage stay)")
	ErrNotInstalled = errors.New("the service " + Name + " is not installed")
	ErrLeaving      = errors.New("the service " + Name + " is being removed, and goes when the last program lets go of it (close services.msc and the Task Manager, then try again)")
	ErrDenied       = errors.New("Windows does not allow this user to install or remove services (open the command prompt with \"Run as administrator\", and try again)")
	ErrElsewhere    = errors.New("only Windows has such services (here systemd runs the bridge: docs/install.md)")
)

var errNoLog = errors.New("only Windows has an event log (name a file, or stderr)")
