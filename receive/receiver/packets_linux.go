package receiver

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetSocket is a socket that several packets are read from with one call
// (recvmmsg).
//
// The net package's poller would be woken by every packet, also while nobody waits
// for one. Therefore the socket is in a poll set of its own (epoll), which is what
// the poller sees, and which the socket can be left out of.
type packetSocket struct {
	fd      int
	set     *os.File // the poll set, for Go's poller
	setFD   int
	raw     syscall.RawConn // of set
	asleep  bool            // the socket is left out of the set
	room    int             // for how many small packets the kernel has; 0: no pause
	size    int
	buffer  []byte // of packetsAtOnce packets
	vectors [packetsAtOnce]unix.Iovec
	senders [packetsAtOnce]unix.RawSockaddrInet6 // or of version 4, which is smaller
	headers [packetsAtOnce]messageHeader

	// What the last call has given. The function is made once, so that a call
	// allocates nothing.
	n     int
	err   error
	ready func(uintptr) bool
}

// messageHeader is struct mmsghdr.
type messageHeader struct {
	unix.Msghdr
	length uint32
}

// smallPacket is what the kernel takes of a socket's room for a packet of a few bytes.
const smallPacket = 768

// newPacketSocket takes over the socket of a connection, which it closes.
func newPacketSocket(c packetConn, size int) (*packetSocket, error) {
	s := &packetSocket{fd: -1, setFD: -1, size: size, buffer: make([]byte, packetsAtOnce*size)}
	s.ready = s.take
	for i := range s.headers {
		s.vectors[i].Base = &s.buffer[i*size]
		s.vectors[i].SetLen(size)
		s.headers[i].Iov = &s.vectors[i]
		s.headers[i].SetIovlen(1)
		s.headers[i].Name = (*byte)(unsafe.Pointer(&s.senders[i])) //nolint:gosec // struct msghdr has the address of any kind
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	errOpen := raw.Control(func(fd uintptr) { err = s.open(int(fd)) })
	if err = errors.Join(err, errOpen); err != nil {
		s.close()
		return nil, err
	}
	if _, ok := c.(*net.UDPConn); ok { // a sender to a socket of the file system would have to wait
		if bytes, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			s.room = bytes / smallPacket
		}
	}
	return s, c.Close() // which takes it out of the poller
}

// open makes a descriptor of its own for a socket, and the poll set.
func (s *packetSocket) open(fd int) (err error) {
	if s.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if s.setFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create", err)
	}
	if err = unix.EpollCtl(s.setFD, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	if err = unix.SetNonblock(s.setFD, true); err != nil { // by which os knows that the poller may have it
		return os.NewSyscallError("fcntl", err)
	}
	s.set = os.NewFile(uintptr(s.setFD), "epoll")
	s.raw, err = s.set.SyscallConn()
	return err
}

// read waits for packets and says how many it has read.
func (s *packetSocket) read() (int, error) {
	if err := s.raw.Read(s.ready); err != nil {
		return 0, err
	}
	return s.n, s.err
}

// take reads what waits; false when there is nothing yet.
func (s *packetSocket) take(uintptr) (done bool) {
	if s.receive(); !errors.Is(s.err, unix.EAGAIN) {
		return true
	}
	if s.asleep { // what has come since is told, too
		if s.err = s.watch(unix.EPOLLIN); s.err != nil {
			return true
		}
	}
	return false
}

// waiting reads what waits, and waits for nothing.
func (s *packetSocket) waiting() int {
	s.receive()
	return s.n
}

// receive calls recvmmsg. It never blocks and takes microseconds, so that Go's
// scheduler need not know of it.
func (s *packetSocket) receive() {
	for i := range s.headers {
		s.headers[i].Namelen = uint32(unsafe.Sizeof(s.senders[i])) // which the kernel has set to what it gave
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.headers)), packetsAtOnce, unix.MSG_DONTWAIT, 0, 0) //nolint:gosec // x/sys has no call for it
	if s.n, s.err = int(n), nil; errno != 0 {
		s.n, s.err = 0, os.NewSyscallError("recvmmsg", errno)
	}
}

// packet is one of those that were read last.
func (s *packetSocket) packet(i int) []byte { return s.buffer[i*s.size:][:s.headers[i].length] }

// sender is who sent it.
func (s *packetSocket) sender(i int) netip.AddrPort {
	from := &s.senders[i]
	port := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, from.Port))
	switch from.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(from)).Addr), port) //nolint:gosec // the family says which it is
	case unix.AF_INET6:
		address := netip.AddrFrom16(from.Addr)
		if from.Scope_id != 0 {
			address = address.WithZone(strconv.Itoa(int(from.Scope_id)))
		}
		return netip.AddrPortFrom(address, port)
	}
	return netip.AddrPort{}
}

// rest leaves the socket alone for some time.
func (s *packetSocket) rest(pause time.Duration) {
	if !s.asleep {
		s.watch(0) //nolint:errcheck // then it is not left alone, which is no harm
	}
	time.Sleep(pause)
}

// watch says what of the socket the poller is to be woken by.
func (s *packetSocket) watch(events uint32) error {
	if err := unix.EpollCtl(s.setFD, unix.EPOLL_CTL_MOD, s.fd, &unix.EpollEvent{Events: events}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	s.asleep = events == 0
	return nil
}

func (s *packetSocket) stop() {
	s.set.SetReadDeadline(LongAgo) //nolint:errcheck // it is closed then
}

func (s *packetSocket) lost() uint32 { return kernelDrops(s.fd) }

func (s *packetSocket) close() {
	switch {
	case s.set != nil:
		s.set.Close()
	case s.setFD >= 0:
		unix.Close(s.setFD)
	}
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
}
