package store

import (
	"reflect"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/windows"
)

// mapped is where the memory of a db is that cannot be closed, and how much it is. bbolt
// does not tell.
func mapped(db *bolt.DB) (at, size uintptr) {
	d := reflect.ValueOf(db).Elem()
	if data, n := d.FieldByName("data"), d.FieldByName("datasz"); data.IsValid() && n.IsValid() {
		return data.Pointer(), uintptr(n.Int())
	}
	return 0, 0
}

// forbid makes each further look at it a fault.
func forbid(db *bolt.DB) {
	if at, size := mapped(db); at != 0 {
		var before uint32
		_ = windows.VirtualProtect(at, size, windows.PAGE_NOACCESS, &before)
	}
}

// forgetPages has its pages not count as the program's any more, until the next look at
// each of them: who unlocks what is not locked takes it out of the working set. The map
// must not be changed meanwhile.
func forgetPages(db *bolt.DB) {
	if at, size := mapped(db); at != 0 {
		_ = windows.VirtualUnlock(at, size)
	}
}

// unmap gives it back: until then the file can be neither cut nor replaced.
func unmap(db *bolt.DB) {
	if at, _ := mapped(db); at != 0 {
		_ = windows.UnmapViewOfFile(at)
	}
}
