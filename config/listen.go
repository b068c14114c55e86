package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
)

// ListenRemedy says what there is to do about an error of listening on an
// address; setting is where another one can be given. Empty for other errors.
func ListenRemedy(err error, setting string) string {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "listen" || strings.HasPrefix(op.Net, "unix") {
		return ""
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("another program uses this address: stop it, or set another one with %s", setting)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("this machine does not have this address: set one that it has with %s", setting)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("a port below 1024 needs root or the capability CAP_NET_BIND_SERVICE: set a higher one with %s", setting)
	}
	return ""
}
