// Package instrumental uploads to Instrumental's collector: line.go has the
// lines of its protocol, encode.go makes them of batches, collector.go is the
// client (acked_linux.go: what the other end has acknowledged), uploader.go
// sends them out of a spool, type.go is the line for the table.
package instrumental

import (
	"math"
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/texts"
)

// verb says what the service does with a value.
type verb string

const (
	gauge     verb = "gauge"     // averaged within a minute
	increment verb = "increment" // summed within a minute
)

// metricLine is one value; count is how many the value stands for, as their
// sum. A value that is not finite has no line.
func metricLine(v verb, name string, value float64, at time.Time, count float64) (string, bool) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return "", false
	}
	n := int64(1)
	if count >= 1.5 {
		n = int64(min(math.Round(count), 1<<53))
	}
	// The client libraries, and so perhaps the service, know no positive
	// exponent.
	return string(v) + " " + name + " " + strconv.FormatFloat(value, 'f', -1, 64) + " " +
		strconv.FormatInt(at.Unix(), 10) + " " + strconv.FormatInt(n, 10), true
}

// noticeLine is an event; an open one lasts no time.
func noticeLine(start, stop time.Time, text string) string {
	seconds := int64(0)
	if stop.After(start) {
		seconds = stop.Unix() - start.Unix()
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	return "notice " + strconv.FormatInt(start.Unix(), 10) + " " + strconv.FormatInt(seconds, 10) + " " + texts.Cut(text, longestNotice)
}

// longestNotice bounds a notice's text in bytes; nothing is said of what the
// service takes.
const longestNotice = 1024

// longestName bounds a metric's name in bytes.
const longestName = 500

// metricName joins parts with dots, each of them cleaned: an ASCII letter or
// digit, - and _ stay, a run of anything else becomes one _, and so does a dot
// within a part. A part of which nothing is left is left out, since the
// client libraries refuse a name with an empty one; the name begins with a
// letter or a digit. Empty: there is no such name.
func metricName(parts ...string) string {
	var name []byte
	for _, p := range parts {
		if clean := cleanPart(p); clean != "" {
			if len(name) > 0 {
				name = append(name, '.')
			}
			name = append(name, clean...)
		}
	}
	text := strings.TrimLeft(string(name), "._-")
	if len(text) > longestName {
		return ""
	}
	return text
}

// dotted gives the parts of a name that has its dots for itself: a host's, or a
// prefix.
func dotted(name string) []string { return strings.Split(plain(name), ".") }

// plain makes each character that a name must not have a _, as the vendor's
// agents did with a script's name.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if allowed(r) || r == '.' {
			return r
		}
		return '_'
	}, name)
}

func allowed(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

func cleanPart(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range s {
		if !allowed(r) {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteRune(r)
	}
	return b.String()
}
