//go:build !netbsd

package sdnotify

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// What a service manager is told.
const (
	Ready     = daemon.SdNotifyReady
	Stopping  = daemon.SdNotifyStopping
	Watchdog  = daemon.SdNotifyWatchdog
	reloading = daemon.SdNotifyReloading
)

// monotonic is the line that tells what the clock says that is never set.
func monotonic() string { return daemon.SdNotifyMonotonicUsec() }

// watchdog takes the time of the watchdog out of the environment.
func watchdog() (time.Duration, error) { return daemon.SdWatchdogEnabled(true) }
