package peer

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Of gives the user who owns the other end of a connection: of a unix socket
// who has connected it, of a TCP connection between two addresses of this machine
// who has opened the socket. For TCP it reads the kernel's list of connections,
// which takes time in proportion to their number.
func Of(c net.Conn) (User, error) {
	uid, err := uidOf(c)
	if err != nil {
		return User{}, err
	}
	return User{Name: "uid " + strconv.FormatUint(uint64(uid), 10), Own: uid == 0 || int(uid) == os.Geteuid()}, nil
}

func uidOf(c net.Conn) (uint32, error) {
	switch c := unwrapped(c).(type) {
	case *net.UnixConn:
		return unixUID(c)
	case *net.TCPConn:
		here, theirs := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
		for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
			if uid, ok := lookUp(file, theirs, here); ok {
				return uid, nil
			}
		}
	}
	return 0, ErrUnknown
}

func unixUID(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnknown, failed)
	}
	return cred.Uid, nil
}

// lookUp finds the owner of the socket that is bound to local and connected to
// remote in a file as in proc(5).
func lookUp(file string, local, remote netip.AddrPort) (uint32, bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		//   sl  local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || parse(fields[1]) != local || parse(fields[2]) != remote {
			continue
		}
		// A socket that its program has closed belongs to nobody, and is shown as root's.
		if fields[9] == "0" {
			return 0, false
		}
		uid, err := strconv.ParseUint(fields[7], 10, 32)
		return uint32(uid), err == nil
	}
	return 0, false
}

// parse reads an address as proc(5) has it: words of 32 bits as the machine has
// them in memory, and a port.
func parse(s string) netip.AddrPort {
	host, port, _ := strings.Cut(s, ":")
	words, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(words)%4 != 0 {
		return netip.AddrPort{}
	}
	for i := 0; i < len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n))
}
