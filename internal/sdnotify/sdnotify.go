// Package sdnotify tells systemd, or another service manager that speaks its
// protocol, how the service is: see sd_notify(3).
package sdnotify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// Reloading is what it is told when a reload begins; Ready ends that. It wants to
// know when it was, so as to tell this reload from the one before.
func Reloading() string {
	return strings.TrimSuffix(reloading+"\n"+monotonic(), "\n")
}

// Status is a line for people, which systemctl status shows.
func Status(text string) string { return "STATUS=" + strings.ReplaceAll(text, "\n", " ") }

const socketVariable = "NOTIFY_SOCKET"

// patience bounds a Send: a service manager that does not read must not hold up
// the service.
const patience = time.Second

// Manager is a service manager that wants to be told. A nil one does not.
type Manager struct {
	socket string
	// Watchdog is the longest time that it waits for the next Watchdog; 0: it does
	// not wait for any.
	Watchdog time.Duration
}

// FromEnvironment gives the service manager that has started this process; nil if
// there is none that wants to be told. It takes what speaks of it out of the
// environment, since nobody else may speak in this process's name. With an error,
// there may be a Manager nonetheless.
func FromEnvironment() (*Manager, error) {
	socket := os.Getenv(socketVariable)
	err := os.Unsetenv(socketVariable)
	interval, wrong := watchdog()
	if socket == "" {
		return nil, err
	}
	if socket[0] != '/' && socket[0] != '@' || len(socket) == 1 {
		return nil, errors.Join(err, fmt.Errorf("%s=%q is neither a path nor an abstract socket", socketVariable, socket))
	}
	return &Manager{socket, interval}, errors.Join(err, wrong)
}

// Send tells it something, all in one message.
func (m *Manager) Send(what ...string) error {
	if m == nil {
		return nil
	}
	// Each time anew: a service manager may be exchanged while we run.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(strings.Join(what, "\n")))
	return err
}
