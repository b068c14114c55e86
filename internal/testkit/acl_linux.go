package testkit

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// ACL lets a user have the permissions of perm, such as 7, by an access control
// list, whose mask they are.
func ACL(t testing.TB, path string, uid uint32, perm uint16) {
	t.Helper()
	const nobody = 0xffffffff
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 7, nobody}, {2, perm, uid}, {4, 5, nobody}, {16, perm, nobody}, {32, 5, nobody}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.perm)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	if err := unix.Setxattr(path, "system.posix_acl_access", list, 0); err != nil {
		t.Skipf("no access control lists here: %v", err)
	}
}
