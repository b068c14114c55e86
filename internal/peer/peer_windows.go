package peer

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Of gives the user of the process at the other end of a TCP connection between two
// addresses of this machine. It reads the system's list of connections, which takes
// time in proportion to their number.
func Of(c net.Conn) (User, error) {
	tcp, ok := unwrapped(c).(*net.TCPConn)
	if !ok {
		return User{}, ErrUnknown
	}
	here, theirs := addrPort(tcp.LocalAddr()), addrPort(tcp.RemoteAddr())
	pid, ok := owner(theirs, here)
	if !ok {
		return User{}, ErrUnknown
	}
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return User{}, ErrUnknown // it has ended, or is none of ours and we may not ask
	}
	defer windows.CloseHandle(process) //nolint:errcheck // it was only looked at
	// While the handle is open the number is no other process's; was it before?
	if again, ok := owner(theirs, here); !ok || again != pid {
		return User{}, ErrUnknown
	}
	var token windows.Token
	if windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token) != nil {
		return User{}, ErrUnknown
	}
	defer token.Close()
	return userOf(token)
}

func userOf(token windows.Token) (User, error) {
	theirs, err := token.GetTokenUser()
	if err != nil {
		return User{}, ErrUnknown
	}
	ours, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return User{}, ErrUnknown
	}
	sid := theirs.User.Sid
	own := sid.Equals(ours.User.Sid) || sid.IsWellKnown(windows.WinLocalSystemSid) || administers(token)
	return User{Name: "user " + sid.String(), Own: own}, nil
}

// administers says whether who has a token uses an administrator's rights, and does not
// just have them to be asked for.
func administers(token windows.Token) bool {
	groups, err := token.GetTokenGroups()
	if err != nil {
		return false
	}
	for _, g := range groups.AllGroups() {
		if g.Sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) {
			return g.Attributes&windows.SE_GROUP_ENABLED != 0
		}
	}
	return false
}

// The rows of the lists of connections: MIB_TCPROW_OWNER_PID, MIB_TCP6ROW_OWNER_PID. A
// port is in the first two bytes of its field, as on the wire.
type (
	row4 struct {
		state      uint32
		local      [4]byte
		localPort  [4]byte
		remote     [4]byte
		remotePort [4]byte
		pid        uint32
	}
	row6 struct {
		local       [16]byte
		localScope  uint32
		localPort   [4]byte
		remote      [16]byte
		remoteScope uint32
		remotePort  [4]byte
		state       uint32
		pid         uint32
	}
)

// owner gives the process that has the socket that is bound to local and connected to
// remote, and has not closed it.
func owner(local, remote netip.AddrPort) (uint32, bool) {
	for _, row := range rows[row4](windows.AF_INET) {
		if open(row.state) && addrPortOf(netip.AddrFrom4(row.local), row.localPort) == local &&
			addrPortOf(netip.AddrFrom4(row.remote), row.remotePort) == remote {
			return row.pid, row.pid != 0
		}
	}
	for _, row := range rows[row6](windows.AF_INET6) {
		if open(row.state) && addrPortOf(netip.AddrFrom16(row.local).Unmap(), row.localPort) == local &&
			addrPortOf(netip.AddrFrom16(row.remote).Unmap(), row.remotePort) == remote {
			return row.pid, row.pid != 0
		}
	}
	return 0, false
}

func addrPortOf(addr netip.Addr, port [4]byte) netip.AddrPort {
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port[:2]))
}

// open says of a state (MIB_TCP_STATE) that the socket's own program has not closed it.
func open(state uint32) bool {
	const established, closeWait = 5, 8
	return state == established || state == closeWait
}

var getExtendedTCPTable = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

// rows gives the list of connections of a family, none where it cannot be had.
func rows[Row row4 | row6](family uintptr) []Row {
	const connections = 4 // TCP_TABLE_OWNER_PID_CONNECTIONS
	if getExtendedTCPTable.Find() != nil {
		return nil
	}
	// It has the number of rows, and them.
	for size, tries := uint32(64<<10), 0; tries < 10; tries++ {
		table := make([]uint32, size/4+1)
		result, _, _ := getExtendedTCPTable.Call(uintptr(unsafe.Pointer(&table[0])), uintptr(unsafe.Pointer(&size)), 0, family, connections, 0)
		switch windows.Errno(result) {
		case windows.ERROR_SUCCESS:
			n := min(uintptr(table[0]), (uintptr(len(table))*4-4)/unsafe.Sizeof(*new(Row)))
			return unsafe.Slice((*Row)(unsafe.Pointer(&table[1])), n)
		case windows.ERROR_INSUFFICIENT_BUFFER:
			size += 4 << 10 // there may be more of them by now
		default:
			return nil
		}
	}
	return nil
}
