package process

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/texts"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	// What is no UTF-8 is in the code page of consoles, where there is such.
	marked, half := string(texts.FromConsole([]byte("\xff\xfea\x00"))), string(texts.FromConsole([]byte("\xff")))
	tests := []struct {
		name   string
		writes []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"one line", []string{"a\n"}, []string{"a"}},
		{"no end", []string{"a\nb"}, []string{"a", "b"}},
		{"in pieces", []string{"a", "b", "\nc", "\n"}, []string{"ab", "c"}},
		{"CR LF", []string{"a\r\nb\r", "\n"}, []string{"a", "b"}},
		{"empty lines", []string{"\n\na\n"}, []string{"", "", "a"}},
		{"just fits", []string{long + "\nb\n"}, []string{long, "b"}},
		{"cut", []string{long + "yz\nb\n"}, []string{long, "b"}},
		{"cut, in pieces", []string{long, "y", "z\nb\n"}, []string{long, "b"}},
		{"cut, no end", []string{long + "y"}, []string{long}},
		{"UTF-16", []string{"\xff", "\xfea\x00\n", "\x00\xfc\x00\r\x00\n", "\x00b\x00c"}, []string{"a", "ü", "b"}},
		{"UTF-16, the other way round", []string{"\xfe\xff\x00a\x00\n\x00"}, []string{"a"}},
		{"no mark in the end", []string{"a\n", "\xff\xfea\x00\n"}, []string{"a", marked}},
		{"half a mark", []string{"\xff"}, []string{half}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			l := lines{hook: func(line []byte) { got = append(got, string(line)) }}
			for _, w := range test.writes {
				l.take([]byte(w))
			}
			l.close()
			l.take([]byte("too late\n"))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if want := int64(len(strings.Join(test.writes, ""))); l.bytes != want {
				t.Errorf("counted %d bytes, want %d", l.bytes, want)
			}
		})
	}
}

func TestCapture(t *testing.T) {
	tests := []struct {
		writes []string
		want   string
		bytes  int64
		over   bool
	}{
		{nil, "", 0, false},
		{[]string{"abc", "de"}, "abcde", 5, false},
		{[]string{"abc", "def"}, "abcde", 6, true},
		{[]string{"abcde", "f", "gh"}, "abcde", 8, true},
		{[]string{"abcdefgh"}, "abcde", 8, true},
	}
	for _, test := range tests {
		c := capture{max: 5, full: make(chan struct{})}
		for _, w := range test.writes {
			c.take([]byte(w))
		}
		c.close()
		c.take([]byte("too late"))
		if string(c.data) != test.want || c.bytes != test.bytes || c.over() != test.over {
			t.Errorf("%q: got %q, %d bytes, over %v; want %q, %d, %v",
				test.writes, c.data, c.bytes, c.over(), test.want, test.bytes, test.over)
		}
		full := false
		select {
		case <-c.full:
			full = true
		default:
		}
		if full != test.over {
			t.Errorf("%q: full is closed: %v, want %v", test.writes, full, test.over)
		}
	}
}

func TestMessages(t *testing.T) {
	long := bytes.Repeat([]byte("x"), maxMessage)
	for _, test := range []struct {
		name   string
		writes [][]byte
		want   []int // lengths
		err    string
	}{
		{"lines", [][]byte{[]byte("a\nbc"), []byte("d\n"), []byte("no end")}, []int{1, 3}, ""},
		{"just fits", [][]byte{long, []byte("\na\n")}, []int{maxMessage, 1}, ""},
		{"too long", [][]byte{[]byte("a\n"), long, []byte("x\nb\n")}, []int{1}, "wrote a line of more than 4MiB on descriptor 3"},
		{"refused", [][]byte{[]byte("a\nbad\nb\n"), []byte("c\n")}, []int{1}, "no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []int
			m := messages{broken: make(chan struct{}), hook: func(line []byte) error {
				if string(line) == "bad" {
					return errors.New("no")
				}
				got = append(got, len(line))
				return nil
			}}
			for _, w := range test.writes {
				m.take(w)
			}
			m.close()
			m.take([]byte("late\n"))
			text := ""
			if m.err != nil {
				text = m.err.Error()
				<-m.broken
			}
			if !slices.Equal(got, test.want) || text != test.err {
				t.Errorf("got %v, error %q", got, text)
			}
		})
	}
}
