package exposition

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"scriptbridge/script/dialect/lines"
)

// cutMetricName cuts [a-zA-Z_:][a-zA-Z0-9_:]* off the front of text.
func cutMetricName(text string) (name, rest string) { return cutName(text, true) }

// cutLabelName is the same without colons.
func cutLabelName(text string) (name, rest string) { return cutName(text, false) }

func cutName(text string, colon bool) (name, rest string) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || colon && c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// trim cuts what may stand around a line off it, and trimLeft what stands between
// words.
func trim(line string) string {
	for line != "" && (isSpace(line[0]) || line[0] == '\r' || line[0] == '\n') {
		line = line[1:]
	}
	for line != "" {
		if c := line[len(line)-1]; !isSpace(c) && c != '\r' && c != '\n' {
			break
		}
		line = line[:len(line)-1]
	}
	return line
}

func trimLeft(text string) string {
	for text != "" && isSpace(text[0]) {
		text = text[1:]
	}
	return text
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// cutWord cuts a word off, and the blanks after it.
func cutWord(text string) (word, rest string) {
	for i := range len(text) {
		if isSpace(text[i]) {
			return text[:i], trimLeft(text[i:])
		}
	}
	return text, ""
}

// cutQuoted cuts off what stands in double quotes, in which a backslash hides
// the quote after it.
func cutQuoted(text string) (inside, rest string, ok bool) {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[1:i], text[i+1:], true
		}
	}
	return "", "", false
}

// unescape reads \\, \n and, where the quote is escaped too, \". A backslash
// before anything else stands for itself, as Prometheus has it: scripts print
// C:\path.
func unescape(text string, quote bool) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	return string(appendUnescaped(make([]byte, 0, len(text)), text, quote))
}

func appendUnescaped(b []byte, text string, quote bool) []byte {
	for i := strings.IndexByte(text, '\\'); i >= 0 && i+1 < len(text); i = strings.IndexByte(text, '\\') {
		b = append(b, text[:i]...)
		switch c := text[i+1]; {
		case c == 'n':
			b = append(b, '\n')
		case c == '\\' || c == '"' && quote:
			b = append(b, c)
		default:
			b = append(b, '\\', c)
		}
		text = text[i+2:]
	}
	return append(b, text...)
}

// parseFloat reads Go's floats as far as Prometheus reads them: neither
// hexadecimal ones nor underscores.
func parseFloat(word string) (float64, bool) {
	if v, ok := lines.ShortDecimal(word); ok {
		return v, true
	}
	if strings.ContainsAny(word, "xXpP_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(word, 64)
	return f, err == nil
}

// isFloat reports whether Go reads a float.
func isFloat(word string) bool {
	if _, ok := lines.ShortDecimal(word); ok {
		return true
	}
	_, err := strconv.ParseFloat(word, 64)
	return err == nil
}

// parseTime reads milliseconds, or seconds on OpenMetrics.
func parseTime(word string, seconds bool) (time.Time, bool) {
	if !seconds {
		ms, err := strconv.ParseInt(word, 10, 64)
		return time.UnixMilli(ms), err == nil && ms < maxMillis && ms > -maxMillis
	}
	s, ok := parseFloat(word)
	if !ok || !(math.Abs(s) < maxMillis/1000) { // NaN is no time either
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(s * 1000))), true
}

func badName(text string) error {
	word, _ := cutWord(text)
	return fmt.Errorf("%q does not begin with a metric's name and a blank (a name takes letters, digits, _ and :, no digit first)", lines.Clip([]byte(word)))
}

// legacyName makes of a name in quotes one that needs none: a _ for every
// character that needs them, as Prometheus does where it is told to escape names
// by underscores. So it can be read by every Prometheus, in both formats.
func legacyName(name string, colon bool) string {
	if _, rest := cutName(name, colon); rest == "" {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		if _, rest := cutName(string(r), colon); rest != "" && (i == 0 || r < '0' || r > '9') {
			r = '_'
		}
		b.WriteRune(r)
	}
	if legacy := b.String(); colon || strings.HasPrefix(name, "__") || !strings.HasPrefix(legacy, "__") {
		return legacy
	}
	return "_" + strings.TrimLeft(b.String(), "_") // two in front would make the label Prometheus's own
}
