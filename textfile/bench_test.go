package textfile

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// BenchmarkWrite writes a page of 10 MiB, some 100 000 series, that has changed, or has not.
func BenchmarkWrite(b *testing.B) {
	for _, changed := range []bool{false, true} {
		b.Run(fmt.Sprintf("changed=%t", changed), func(b *testing.B) {
			var all [][]byte
			for range 160 {
				all = append(all, bytes.Repeat([]byte("x"), 64<<10))
			}
			f := newFile(b.TempDir(), nil)
			if err := f.write(slices.Values(all)); err != nil {
				b.Fatal(err)
			}
			for n := 0; b.Loop(); n++ {
				if changed {
					all[0][0] = "yz"[n%2]
				}
				if err := f.write(slices.Values(all)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
