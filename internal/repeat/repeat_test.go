package repeat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
)

// play gives State one list of troubles a minute, and what was told, with the
// minute.
func play(minutes ...string) (told []string) {
	var s State
	now := time.Unix(1_700_000_000, 0)
	for i, m := range minutes {
		texts := strings.Fields(m)
		news, over := s.Update(now.Add(time.Duration(i)*time.Minute), texts...)
		for _, n := range news {
			line := fmt.Sprintf("%d:%s", i, texts[n.Index])
			if n.Suppressed > 0 {
				line += fmt.Sprintf("(%d)", n.Suppressed)
			}
			told = append(told, line)
		}
		if over {
			told = append(told, fmt.Sprintf("%d:well", i))
		}
	}
	return told
}

func times(n int, minutes ...string) (all []string) {
	for range n {
		all = append(all, minutes...)
	}
	return all
}

func TestUpdate(t *testing.T) {
	all := func(lists ...[]string) []string { return slices.Concat(lists...) }
	for _, c := range []struct {
		name    string
		minutes []string
		want    string
	}{
		{"well", times(5, ""), ""},
		{"goes on", times(100, "a"), "0:a"},
		{"another one", all(times(5, "a"), times(5, "b"), times(5, "")), "0:a 5:b 10:well"},
		{"one beside another that goes on", all(times(2, "a"), times(2, "a b"), times(2, "a"), times(2, "")), "0:a 2:b 6:well"},
		{"comes and goes", all(times(15, "a", "")), "0:a 1:well 10:a(4) 11:well 20:a(4) 21:well"},
		{"two take turns", all(times(15, "a", "b")), "0:a 1:b 10:a(4) 11:b(4) 20:a(4) 21:b(4)"},
		// It came back untold, and stays: that must not go unheard.
		{"comes back to stay", all([]string{"a", ""}, times(30, "a")), "0:a 1:well 10:a(1)"},
		{"comes back later", all([]string{"a", ""}, times(20, ""), times(3, "a")), "0:a 1:well 22:a"},
		{"comes back and goes", all([]string{"a", ""}, times(3, "a"), times(20, "")), "0:a 1:well"},
	} {
		if got := strings.Join(play(c.minutes...), " "); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

// What is always another thing is told ten times in ten minutes, and forgotten.
func TestUpdateBound(t *testing.T) {
	var s State
	now := time.Unix(1_700_000_000, 0)
	told, left := 0, 0
	for i := range 3601 {
		news, _ := s.Update(now.Add(time.Duration(i)*time.Second), fmt.Sprint(i))
		told += len(news)
		for _, n := range news {
			left += n.Suppressed
		}
	}
	if told != 6*Most+1 || told+left != 3601 {
		t.Errorf("of 3601 things %d were told in an hour, not %d, and %d left out", told, 6*Most+1, left)
	}
	if len(s.wrong) > Most+1 || len(s.told) > Most {
		t.Errorf("%d troubles and %d times are kept", len(s.wrong), len(s.told))
	}
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		logger := log.NewLogfmtLogger(&out)
		var s State
		full, gone := errors.New("disk full"), fmt.Errorf("upload: %w", errors.New("gone"))
		for _, err := range []error{full, full, errors.Join(full, gone), errors.Join(gone), nil, nil, gone} {
			s.Log(logger, err, "a sink failed", "it is well")
			time.Sleep(time.Minute)
		}
		time.Sleep(Quiet)
		s.Log(logger, errors.Join(gone, errors.Join(full)), "a sink failed", "it is well")
		s.Log(logger, fmt.Errorf("%w; it cannot be put aside: %w", gone, full), "a sink failed", "it is well")
		want := `level=error msg="a sink failed" err="disk full"
level=error msg="a sink failed" err="upload: gone"
level=info msg="it is well"
level=error msg="a sink failed" err="upload: gone" suppressed=1
level=error msg="a sink failed" err="disk full"
level=error msg="a sink failed" err="upload: gone; it cannot be put aside: disk full"
`
		if out.String() != want {
			t.Errorf("it logged\n%swant\n%s", &out, want)
		}
	})
}

// A library may say the same a thousand times, or a thousand things.
func TestStdLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		l := NewStdLog(log.NewLogfmtLogger(&out))
		for i := range 100 {
			l.Printf("http: TLS handshake error from 192.0.2.1:%d: EOF\n", i)
		}
		for range 100 {
			l.Print("http: Accept error")
		}
		time.Sleep(Quiet)
		l.Print("http: Accept error")
		for i := range 2 * Most { // a fault of ours is no noise of clients
			l.Printf("http: panic serving 192.0.2.1:%d: gone\ngoroutine 7\n", i)
			l.Printf("http2: panic serving 192.0.2.1:%d: gone\n", i)
		}
		var want strings.Builder
		for i := range Most {
			fmt.Fprintf(&want, "level=warn msg=\"http: TLS handshake error from 192.0.2.1:%d: EOF\"\n", i)
		}
		want.WriteString("level=warn msg=\"http: Accept error\" suppressed=91\n")
		for i := range 2 * Most {
			fmt.Fprintf(&want, "level=error msg=\"http: panic serving 192.0.2.1:%d: gone\\ngoroutine 7\"\n", i)
			fmt.Fprintf(&want, "level=error msg=\"http2: panic serving 192.0.2.1:%d: gone\"\n", i)
		}
		if out.String() != want.String() {
			t.Errorf("it logged\n%swant\n%s", &out, &want)
		}
	})
}
