//go:build unix

package store

import (
	"reflect"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// mapped is the memory of a db that cannot be closed. bbolt does not tell.
func mapped(db *bolt.DB) []byte {
	if m := reflect.ValueOf(db).Elem().FieldByName("dataref"); m.IsValid() && m.Len() > 0 {
		return m.Bytes()
	}
	return nil
}

// forbid makes each further look at it a fault.
func forbid(db *bolt.DB) { _ = unix.Mprotect(mapped(db), unix.PROT_NONE) }

// forgetPages has its pages not count as the program's any more, until the next look at
// each of them. The map must not be changed meanwhile.
func forgetPages(db *bolt.DB) { _ = unix.Madvise(mapped(db), unix.MADV_DONTNEED) }

// unmap gives it back.
func unmap(db *bolt.DB) { _ = unix.Munmap(mapped(db)) }
