package coscale

import (
	"errors"
	"fmt"
	"testing"
)

// TestManyTroubles has as many series in doubt as are remembered, while many events
// are accepted: of each that is little work (it took hours when all troubles were
// counted for each of them).
func TestManyTroubles(t *testing.T) {
	u, err := newUploader(uploaderOptions{Server: "s", Interval: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := u.newPass()
	for i := range mostTroubles + 5 {
		p.doubt(ofValues, fmt.Sprint(i), errors.New("no"))
	}
	for range 100_000 {
		p.accepted(ofEvents)
	}
	if n := u.troubles.of; n != [classes]int{ofValues: mostTroubles} {
		t.Errorf("they are counted as %v", n)
	}
	for i := range mostTroubles - 1 {
		u.troubles.forget(fmt.Sprint(i))
		u.troubles.forget(fmt.Sprint(i))
	}
	last := u.troubles.byKey[fmt.Sprint(mostTroubles-1)]
	if !last.alone.IsZero() {
		t.Error("one of many was taken to fail alone")
	}
	p.accepted(ofEvents)
	if last.alone.IsZero() || !last.byOther {
		t.Errorf("the only one is not known to be: %+v", last)
	}
}
