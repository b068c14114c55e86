package statsd

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// This file finds out where the title and the text of a DogStatsD event end.
// The protocol's lengths count bytes. Clients have counted code points and
// UTF-16 units, and line ends before they wrote \n for them: what such a client
// sends differs only where its text does.

// dogLength reads a length. One that no number holds is longer than any text.
func dogLength(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(bytes.Trim(b, "0123456789")) > 0 {
		return 0, false
	}
	n, err := strconv.Atoi(string(b))
	if errors.Is(err, strconv.ErrRange) {
		n = math.MaxInt
	}
	return n, true
}

// dogWays are the ways to count.
const (
	dogBytes = iota
	dogRunes
	dogUTF16
	dogUnits
	// With dogUnits added, an escaped line end counts as the one that it was.
	dogWays = 2 * dogUnits
)

// dogCut finds where title and text end, whose lengths are given, in what stands
// behind the lengths. Behind the title is a |, and behind the text another or
// nothing. Of several readings that fit it takes the first behind which all
// fields are known, so that a | in the text does not end it; or else the first.
// Bytes come first, then the shorter title, since one with a | in it is rare.
func dogCut(b []byte, title, text int) (titleEnd, textEnd int, ok bool) {
	titles := dogEnds(b, title)
	if len(titles) > 1 {
		slices.Sort(titles[1:])
	}
	for _, t := range titles {
		if t >= len(b) || b[t] != '|' {
			continue
		}
		for _, e := range dogEnds(b[t+1:], text) {
			e += t + 1
			if e < len(b) && b[e] != '|' {
				continue
			}
			if dogKnown(b[e:]) {
				return t, e, true
			}
			if !ok {
				titleEnd, textEnd, ok = t, e, true
			}
		}
	}
	return titleEnd, textEnd, ok
}

// dogEnds are where n of b have been counted, in each of the ways in which that
// comes out even, bytes first; each place once.
func dogEnds(b []byte, n int) []int {
	var ends []int
	for way := range dogWays {
		if end, ok := dogEnd(b, n, way); ok && !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	}
	return ends
}

func dogEnd(b []byte, n, way int) (end int, ok bool) {
	if way == dogBytes {
		return n, n <= len(b)
	}
	for n > 0 && end < len(b) {
		r, size := utf8.DecodeRune(b[end:])
		units := 1
		switch {
		case way >= dogUnits && bytes.HasPrefix(b[end:], []byte(`\n`)):
			size = 2
		case way%dogUnits == dogBytes:
			units = size
		case way%dogUnits == dogUTF16:
			units = utf16.RuneLen(r)
		}
		n -= units
		end += size
	}
	return end, n == 0
}

// dogKnown says whether all that follows an event's text is what a client
// writes there.
func dogKnown(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	for section := range bytes.SplitSeq(b[1:], []byte{'|'}) {
		key, value, _ := bytes.Cut(section, []byte{':'})
		good := false
		switch string(key) {
		case "d":
			_, good = dogLength(value)
		case "p":
			good = slices.Contains([]string{"normal", "low"}, string(value))
		case "t":
			good = slices.Contains([]string{"error", "warning", "info", "success"}, string(value))
		case "h", "k", "s", "c", "e", "card":
			good = len(key) < len(section)
		}
		if !good && !bytes.HasPrefix(section, []byte{'#'}) {
			return false
		}
	}
	return true
}
