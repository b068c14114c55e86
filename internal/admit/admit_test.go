package admit

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := make(Places, 2)
		a, _ := p.Take(t.Context())
		b, _ := p.Take(t.Context())
		begin := time.Now()
		if _, ok := p.Take(t.Context()); ok || time.Since(begin) != Wait {
			t.Errorf("a third has a place: %t, after %s", ok, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if _, ok := p.Take(ctx); ok || time.Since(begin) != time.Second {
			t.Errorf("who has left has a place: %t, after %s", ok, time.Since(begin))
		}
		time.AfterFunc(2*time.Second, a)
		begin = time.Now()
		if c, ok := p.Take(t.Context()); !ok || time.Since(begin) != 2*time.Second {
			t.Errorf("who waits has a place: %t, after %s", ok, time.Since(begin))
		} else {
			c()
		}
		b()
		if len(p) != 0 {
			t.Errorf("%d places are taken at the end", len(p))
		}
	})
}

func TestBegin(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, Small - 1, Small, Small + 1, 3 * Small} {
		text := strings.Repeat("x", n)
		for _, length := range []int64{int64(n), -1} {
			r, small := Begin(strings.NewReader(text), length)
			if got, err := io.ReadAll(r); err != nil || string(got) != text {
				t.Errorf("%d bytes of length %d: %d are read, %v", n, length, len(got), err)
			}
			if small != (n < Small) {
				t.Errorf("%d bytes of length %d are small: %t", n, length, small)
			}
		}
	}
}
