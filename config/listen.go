package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/errno"
)

// ListenRemedy says what there is to do about an error of listening on an
// address; setting is where another one can be given. Empty for other errors.
func ListenRemedy(err error, setting string) string {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "listen" || strings.HasPrefix(op.Net, "unix") {
		return ""
	}
	_, malformed := errors.AsType[*net.AddrError](err)
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case malformed:
		return fmt.Sprintf("write it like %s=:10469, or %[1]s=127.0.0.1:10469 for this machine alone", setting)
	case unknown:
		return fmt.Sprintf("name an address that this machine has with %s", setting)
	case errno.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("another program uses this address: stop it, or set another one with %s", setting)
	case errno.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("this machine does not have this address: set one that it has with %s", setting)
	case runtime.GOOS == "windows" && errno.Is(err, syscall.EACCES):
		return fmt.Sprintf("another program has this address for itself, or Windows reserves the port ('netsh interface ipv4 show excludedportrange tcp' tells): stop it, or set another one with %s", setting)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("a port below 1024 needs root or the capability CAP_NET_BIND_SERVICE: set a higher one with %s", setting)
	}
	return ""
}

// bcryptForm is a hash of a password as exporter-toolkit takes it.
var bcryptForm = regexp.MustCompile(`^\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

// CheckWebConfig looks in the text of exporter-toolkit's configuration, which file
// names, for what the toolkit does not say well: that it is no YAML, and users
// without a hash of their password. No error shows a value.
func CheckWebConfig(file string, text []byte) error {
	r := new(yamltree.Report)
	root := yamltree.Parse(r, file, text)
	if users := root.Get("basic_auth_users"); users != nil {
		e := &entry{Report: r, file: file, thing: "basic_auth_users"}
		if users.Value.Kind != yamltree.Map && users.Value.Kind != yamltree.Null {
			e.fail(users.Line, "write names and hashes beneath it, each as name: hash", "is %s, not a map", users.Value.Kind)
		}
		for _, user := range users.Value.Fields {
			hash, p := user.Value.Single()
			if p != nil || !bcryptForm.MatchString(hash) {
				e.fail(user.Line, "htpasswd -nB "+cmdline.Quote(user.Key)+" asks for the password and prints name and hash", "the password of %q is not a bcrypt hash", user.Key)
			}
		}
	}
	return r.Join(nil)
}
