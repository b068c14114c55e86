package record

import (
	"testing"
	"unsafe"
)

// A script whose metrics have one series each has a Meta for each series, so what few
// metrics have must be in Rare.
func TestMetaSize(t *testing.T) {
	const words = 18 // the allocator has a class of this size; the next has two more
	if size := unsafe.Sizeof(Meta{}); size > words*unsafe.Sizeof(uintptr(0)) {
		t.Errorf("a Meta has %d bytes", size)
	}
}
