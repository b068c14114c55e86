package jsonstream

import (
	"strconv"
	"unicode/utf8"
)

// Plain reads JSON as nearly all programs write it, out of bytes that have come already:
// each method takes what comes next and reports true; or it reports false, and then the whole
// value is for a Scanner: it may be unusual, no JSON at all, or end behind B, which
// Short tells. What is taken is what json.Unmarshal would make of it, without memory
// for each.
type Plain struct {
	B     []byte
	At    int  // how much is taken
	Short bool // B has ended too early
}

// next skips blanks and shows what follows.
func (p *Plain) next() (byte, bool) {
	for p.At < len(p.B) {
		c := p.B[p.At]
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, true
		}
		p.At++
	}
	p.Short = true
	return 0, false
}

// Is takes a byte between values, such as a bracket, if it comes next.
func (p *Plain) Is(want byte) bool {
	c, ok := p.next()
	if ok = ok && c == want; ok {
		p.At++
	}
	return ok
}

// More reports whether another member of a list or an object follows, first or not; then
// what stands between is taken. false with ok is for the end, which is taken too.
func (p *Plain) More(end byte, first bool) (more, ok bool) {
	if p.Is(end) {
		return false, true
	}
	if first {
		return true, !p.Short
	}
	return true, p.Is(',')
}

// Text takes a text without escapes; it holds as long as B does.
func (p *Plain) Text() ([]byte, bool) {
	if !p.Is('"') {
		return nil, false
	}
	ascii := true
	for i := p.At; i < len(p.B); i++ {
		switch c := p.B[i]; {
		case c == '"':
			text := p.B[p.At:i]
			p.At = i + 1
			return text, ascii || utf8.Valid(text)
		case c == '\\' || c < ' ':
			return nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	p.Short = true
	return nil, false
}

// Int takes a whole number of at most 18 digits.
func (p *Plain) Int() (int64, bool) {
	n, text, ok := p.number()
	return n, ok && text == nil
}

// Float takes a number.
func (p *Plain) Float() (float64, bool) {
	n, text, ok := p.number()
	if !ok || text == nil {
		return float64(n), ok
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil
}

// number takes a number: as n where it is a whole one of at most 18 digits, else as text.
func (p *Plain) number() (n int64, text []byte, ok bool) {
	if _, ok := p.next(); !ok {
		return 0, nil, false
	}
	b, i := p.B[p.At:], 0
	negative := b[0] == '-'
	if negative {
		i++
	}
	begin := i
	for ; i < len(b) && isDigit(b[i]); i++ {
		n = n*10 + int64(b[i]-'0') // of many digits it means nothing
	}
	digits := i - begin
	whole := digits <= 18 && (n != 0 || !negative) // and not -0
	if digits == 0 || digits > 1 && b[begin] == '0' {
		p.Short = i == len(b)
		return 0, nil, false
	}
	if i < len(b) && b[i] == '.' {
		whole = false
		if i, ok = skipDigits(b, i+1); !ok {
			p.Short = i == len(b)
			return 0, nil, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		whole = false
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i, ok = skipDigits(b, i); !ok {
			p.Short = i == len(b)
			return 0, nil, false
		}
	}
	if i == len(b) { // it may go on
		p.Short = true
		return 0, nil, false
	}
	p.At += i
	if !whole {
		return 0, b[:i], true
	}
	if negative {
		n = -n
	}
	return n, nil, true
}

// skipDigits skips one digit at least.
func skipDigits(b []byte, i int) (end int, ok bool) {
	begin := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i, i > begin
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
