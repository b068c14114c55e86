package statsd

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/statsd_exporter/pkg/mapper"
)

// This file reads StatsD's lines:
//
//	NAME:VALUE[:VALUE…]|TYPE[|@RATE][|#TAGS][|c:CONTAINER][|TTIME][|e:…][|card:…]
//
// and, as the first daemons did, several samples of one name:
// NAME:VALUE|TYPE[|@RATE]:VALUE|TYPE…
//
// pkg/line of statsd_exporter is the measure for names, tags and values (a
// fuzz test compares them), but not the means: it repeats an event as often as
// its sample rate says, so that one packet x:1|ms|@1e-7 costs a gigabyte; it
// splits a line without tags at the colon of a container's id; it knows no
// sets; and it makes maps and strings of a line that came a million times.

// sampleType is what the type of a sample says.
type sampleType uint8

const (
	typeCounter   sampleType = iota + 1
	typeGauge                // its value may be relative
	typeTimer                // in milliseconds
	typeHistogram            // and distributions: timers in whatever unit
	typeSet
	typeCheck // DogStatsD's service check: a gauge
)

// parseType gives a type by its word; 0 for none.
func parseType(word []byte) sampleType {
	switch string(word) {
	case "c":
		return typeCounter
	case "g":
		return typeGauge
	case "ms":
		return typeTimer
	case "h", "d":
		return typeHistogram
	case "s":
		return typeSet
	}
	return 0
}

// head is the part of a sample that says which series it is for. All
// slices are the line's, unless joined says otherwise.
type head struct {
	kind   sampleType
	name   []byte // with the tags of those dialects that have them there
	tags   []byte // DogStatsD's, those of several sections joined
	joined bool   // tags are not the line's
	origin []byte // the container's id
	host   []byte // a service check's
}

// addTags takes in a section of tags.
func (h *head) addTags(b []byte) {
	if h.tags == nil {
		h.tags = b
		return
	}
	if !h.joined {
		h.tags, h.joined = slices.Clip(h.tags), true // what follows in the line stays as it is
	}
	h.tags = append(append(h.tags, ','), b...)
}

// sample is one sample of a line, with one value or several.
type sample struct {
	head
	values []byte  // with colons between them; a set's is one, whatever it holds
	rate   float64 // above 0; 1 when it is not sampled
	time   int64   // its own, in Unix seconds; 0 for none
}

// lineFault is why a line, or a sample of it, is not used. In a storm of bad
// lines few are told: the text is made for those only.
type lineFault struct {
	reason string
	format string // of the text; takes what is at fault
	what   []byte
}

// text tells it to people.
func (f *lineFault) text() string {
	if !strings.Contains(f.format, "%") {
		return f.format
	}
	what := f.what[:min(len(f.what), maxFaultText)]
	return fmt.Sprintf(f.format, strings.ToValidUTF8(string(what), "\uFFFD"))
}

// maxFaultText bounds what is told of a line that is not used, in bytes.
const maxFaultText = 256

// cut cuts the first sample off rest, which is what follows a line's name and its
// colon, and returns what is left of it: nothing after the last. A sample with a fault
// is cut off all the same. s has a name and the rate 1.
func (s *sample) cut(rest []byte) (left []byte, fault *lineFault) {
	i := bytes.IndexByte(rest, '|')
	if i < 0 {
		return nil, &lineFault{"malformed", "it has no |TYPE behind its value; write NAME:VALUE|TYPE", nil}
	}
	s.values, rest = rest[:i], rest[i+1:]
	i = sectionEnd(rest, false)
	if s.kind = parseType(rest[:i]); s.kind == 0 {
		fault = &lineFault{"bad_type", "the type %q is none of c, g, ms, h, d and s", rest[:i]}
	}
	for rest = rest[i:]; len(rest) > 0 && rest[0] == '|'; rest = rest[i:] {
		rest = rest[1:]
		i = sectionEnd(rest, hasColons(rest))
		if f := s.section(rest[:i]); fault == nil {
			fault = f
		}
	}
	if len(rest) > 0 { // a colon: another sample
		left = rest[1:]
		if len(left) == 0 && fault == nil {
			fault = &lineFault{"malformed", "it ends in a colon", nil}
		}
	}
	return left, fault
}

// several tells what is wrong with several values of a sample as a whole. A colon in
// a name, or in a tag that stands there, parts it like values: unless all that
// follows is numbers, none of it is taken for a value of what stands in front.
func (s *sample) several() *lineFault {
	for value := range bytes.SplitSeq(s.values, []byte{':'}) {
		if _, fault := parseNumber(value); fault != nil {
			return &lineFault{fault.reason, "of the several values %q one is not a finite number; a name, and a tag in it, must have no colon", s.values}
		}
	}
	if bytes.ContainsAny(s.name, "[#,") {
		return &lineFault{"mixed_tags", "it has tags in its name, and the several values %q, which only DogStatsD has; a tag must have no colon", s.values}
	}
	return nil
}

// sectionEnd is where what b begins with ends: at the next |, or at a colon,
// behind which another sample begins.
func sectionEnd(b []byte, colons bool) int {
	if colons {
		if i := bytes.IndexByte(b, '|'); i >= 0 {
			return i
		}
		return len(b)
	}
	for i, c := range b {
		if c == '|' || c == ':' {
			return i
		}
	}
	return len(b)
}

// hasColons tells the sections of DogStatsD that may have colons of their own.
func hasColons(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	switch b[0] {
	case '#':
		return true
	case 'c':
		return bytes.HasPrefix(b, []byte("c:")) || bytes.HasPrefix(b, []byte("card:"))
	case 'e':
		return bytes.HasPrefix(b, []byte("e:"))
	}
	return false
}

// section takes in what stands between two |. The origin of a pod (e:) and a
// cardinality (card:) are let be: they change no value. A time that cannot be
// read is none: what it belongs to counts as of now.
func (s *sample) section(b []byte) *lineFault {
	switch {
	case len(b) == 0:
		return &lineFault{"malformed", "there is nothing between two |", nil}
	case b[0] == '@':
		rate, err := parseFloat(b[1:])
		// 0 is no rate, as statsd_exporter has it. One that is too small for
		// 1/rate to be a number is none either.
		if err != nil || !(rate >= 0) || math.IsInf(rate, 0) || rate > 0 && math.IsInf(1/rate, 0) {
			return &lineFault{"bad_rate", "the sample rate %q is not a positive number", b[1:]}
		}
		if rate > 0 {
			s.rate = rate
		}
	case b[0] == '#':
		s.addTags(b[1:])
	case bytes.HasPrefix(b, []byte("c:")):
		if id := containerOf(b[2:]); len(id) > 0 {
			s.origin = id
		}
	case b[0] == 'T':
		s.time, _ = unixSeconds(b[1:])
	case bytes.HasPrefix(b, []byte("e:")), bytes.HasPrefix(b, []byte("card:")):
	default:
		return &lineFault{"malformed", "%q is neither a sample rate nor tags", b}
	}
	return nil
}

// containerOf is the container's id in what stands behind c: the id, or ci- and
// the id, or in- and the inode of a cgroup, which names no container, or a list
// of these.
func containerOf(b []byte) []byte {
	for one := range bytes.SplitSeq(b, []byte{','}) {
		if !bytes.HasPrefix(one, []byte("in-")) {
			return bytes.TrimPrefix(one, []byte("ci-"))
		}
	}
	return nil
}

// unixSeconds reads a time in Unix seconds; false for none, and for one before
// 1973, which can only be a mistake.
func unixSeconds(b []byte) (seconds int64, ok bool) {
	seconds, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || seconds < 1e8 || seconds > 1<<40 {
		return 0, false
	}
	return seconds, true
}

// parseNumber reads a value. Neither NaN nor infinity is one: a sum that once
// took one in could never be read again.
func parseNumber(b []byte) (float64, *lineFault) {
	v, err := parseFloat(b)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0): // out of range, among others
		return 0, &lineFault{"not_finite", "the value %q is not finite", b}
	case err != nil:
		return 0, &lineFault{"bad_value", "the value %q is not a number", b}
	}
	return v, nil
}

// parseFloat is strconv's.
func parseFloat(b []byte) (float64, error) {
	if v, ok := plainNumber(b); ok {
		return v, nil
	}
	return strconv.ParseFloat(string(b), 64)
}

// plainNumber reads what nearly all clients send, as ParseFloat does: digits with a
// point among them, perhaps, and a sign. So few of them, and the power of ten, are exact,
// and their quotient is rounded once.
func plainNumber(b []byte) (v float64, ok bool) {
	digits := b
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 16 {
		return 0, false
	}
	n, point := int64(0), -1
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			n = 10*n + int64(c-'0')
		case c == '.' && point < 0 && len(digits) > 1:
			point = i
		default:
			return 0, false
		}
	}
	v = float64(n)
	switch {
	case point >= 0:
		v /= powersOfTen[len(digits)-1-point]
	case len(digits) > 15:
		return 0, false
	}
	if b[0] == '-' {
		v = -v
	}
	return v, true
}

var powersOfTen = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// cutTags takes the tags out of a metric's name, in the dialect in which
// they are written: SignalFX name[a=b,c=d], Librato name#a=b,c=d, InfluxDB
// name,a=b,c=d. Which is which, and what becomes of bad ones, is as
// statsd_exporter has it.
func cutTags(name string, labels map[string]string) string {
	open, end := strings.IndexByte(name, '['), strings.IndexByte(name, ']')
	switch {
	case open >= 0 && end > open:
		addTags(labels, name[open+1:end], '=')
		return name[:open] + name[end+1:]
	case open >= 0 || end >= 0:
		return name
	}
	if i := strings.IndexAny(name, "#,"); i >= 0 {
		addTags(labels, name[i+1:], '=')
		return name[:i]
	}
	return name
}

// addTags adds tags as labels. One without a name or a value is left out, and
// costs nothing else.
func addTags(labels map[string]string, tags string, sep byte) {
	for tag := range strings.SplitSeq(tags, ",") {
		if sep == ':' {
			tag = strings.TrimPrefix(tag, "#")
		}
		i := strings.IndexByte(tag, sep)
		if i > 0 && i < len(tag)-1 {
			labels[mapper.EscapeMetricName(tag[:i])] = tag[i+1:]
		}
	}
}
