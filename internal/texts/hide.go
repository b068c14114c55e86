package texts

import (
	"encoding/base64"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Hidden stands for a secret, wherever one would be shown.
const Hidden = "<secret>"

// Hide takes secrets out of a text, also where the text spells one otherwise, as
// whoever was sent it may repeat it: its characters percent-encoded, escaped as in
// JSON, Go or HTML, each by itself or all of them; and encoded in base64, by itself
// or behind a user's name, as in a header of basic authentication.
func Hide(text string, secrets ...string) string {
	var plain, encoded []string
	for _, s := range secrets {
		if s != "" {
			plain = append(plain, s)
			encoded = append(encoded, base64Forms(s)...)
		}
	}
	var b strings.Builder
	done := 0 // so much of text is in b
	for i := 0; i < len(text); {
		here := readings(text[i:])
		from, to := i, i+longest(text[i:], here, plain)
		if to == i {
			if n := longest(text[i:], here, encoded); n > 0 {
				from, to = wholeBase64(text, done, i, i+n)
			}
		}
		if to == i {
			i++
			continue
		}
		b.WriteString(text[done:from])
		b.WriteString(Hidden)
		done, i = to, to
	}
	b.WriteString(text[done:])
	return b.String()
}

// longest is the length of the longest beginning of text that spells one of
// secrets; 0 for none. here are the readings of text: few places in it begin like a
// secret.
func longest(text string, here []reading, secrets []string) (most int) {
	for _, s := range secrets {
		first, _ := utf8.DecodeRuneInString(s)
		if slices.ContainsFunc(here, func(one reading) bool { return one.r == first }) {
			most = max(most, spells(text, s))
		}
	}
	return most
}

// spells is the length of the longest beginning of text that spells secret; 0 for
// none. All ways to read the text are followed at once, so that none takes long.
func spells(text, secret string) int {
	ends := map[int]bool{0: true}
	for _, r := range secret {
		next := make(map[int]bool)
		for end := range ends {
			for _, one := range readings(text[end:]) {
				if one.r == r {
					next[end+one.size] = true
				}
			}
		}
		ends = next
	}
	most := 0
	for end := range ends {
		most = max(most, end)
	}
	return most
}

// reading is what a text may begin with: a character, spelled in so many bytes.
type reading struct {
	r    rune
	size int
}

// mostEncoded bounds how often what is read may have been encoded.
const mostEncoded = 4

// readings are all the ways to read the beginning of a text.
func readings(text string) []reading {
	if text == "" {
		return nil
	}
	r, size := utf8.DecodeRuneInString(text)
	all := []reading{{r, size}}
	switch r {
	case '+':
		all = append(all, reading{' ', size})
	case '%', '=': // of a URL, and of mail
		for n := range mostEncoded {
			all = append(all, percent(text, text[:1]+strings.Repeat("25", n))...)
		}
	case '&':
		for n := range mostEncoded {
			all = append(all, entity(text, "&"+strings.Repeat("amp;", n))...)
		}
	case '\\':
		all = append(all, escapes(text)...)
	}
	return all
}

// percent reads %2B, and as many of that kind as make a character; sign is what
// has become of the % itself.
func percent(text, sign string) []reading {
	var b []byte
	for rest := text; len(b) < utf8.UTFMax; {
		digits, ok := strings.CutPrefix(rest, sign)
		n, isNumber := hexNumber(digits, 2)
		if !ok || !isNumber {
			break
		}
		b, rest = append(b, byte(n)), digits[2:]
		if utf8.FullRune(b) {
			r, _ := utf8.DecodeRune(b)
			size := len(text) - len(rest)
			if r == '+' { // which may have stood for a blank itself
				return []reading{{r, size}, {' ', size}}
			}
			return []reading{{r, size}}
		}
	}
	return nil
}

// entity reads a character as HTML has it: &#43; &#x2b; &plus;. sign is what has
// become of the & itself.
func entity(text, sign string) []reading {
	const most = 32
	rest, ok := strings.CutPrefix(text, sign)
	name, _, ended := strings.Cut(Cut(rest, most), ";")
	if !ok || !ended {
		return nil
	}
	one := html.UnescapeString("&" + name + ";")
	r, size := utf8.DecodeRuneInString(one)
	if size != len(one) {
		return nil
	}
	return []reading{{r, len(sign) + len(name) + 1}}
}

// escapes reads what is behind a backslash, or several where escaping was done
// more than once: \u002b, \U0000002b, \x2b, and a character as it is.
func escapes(text string) (all []reading) {
	rest := strings.TrimLeft(text, `\`)
	slashes := len(text) - len(rest)
	for n := 2; n <= slashes; n *= 2 {
		all = append(all, reading{'\\', n})
	}
	if rest == "" {
		return all
	}
	r, size := utf8.DecodeRuneInString(rest)
	all = append(all, reading{r, slashes + size})
	if n, ok := hexNumber(rest[1:], 2); rest[0] == 'x' && ok {
		all = append(all, reading{rune(n), slashes + 3})
	}
	if n, ok := hexNumber(rest[1:], 8); rest[0] == 'U' && ok {
		all = append(all, reading{rune(n), slashes + 9})
	}
	n, ok := hexNumber(rest[1:], 4)
	if rest[0] != 'u' || !ok {
		return all
	}
	all = append(all, reading{rune(n), slashes + 5})
	if low := strings.TrimLeft(rest[5:], `\`); utf16.IsSurrogate(rune(n)) && strings.HasPrefix(low, "u") {
		if m, ok := hexNumber(low[1:], 4); ok {
			all = append(all, reading{utf16.DecodeRune(rune(n), rune(m)), len(text) - len(low) + 5})
		}
	}
	return all
}

// hexNumber reads the number that a text begins with, of so many digits.
func hexNumber(text string, digits int) (uint64, bool) {
	if len(text) < digits {
		return 0, false
	}
	n, err := strconv.ParseUint(text[:digits], 16, 32)
	return n, err == nil
}

// base64Forms are those characters of base64 that a secret decides alone, for each
// place in a group of three bytes that it can begin at, in both alphabets. There
// are none of what is so short that it would be found anywhere.
func base64Forms(secret string) (forms []string) {
	const shortest = 4
	if len(secret) < shortest {
		return nil
	}
	for before := range 3 {
		data := append(make([]byte, before), secret...)
		from, to := (before*8+5)/6, len(data)*8/6
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, alphabet.EncodeToString(data)[from:to])
		}
	}
	return forms
}

// wholeBase64 widens a part of a text to all the base64 that it is in; what is
// before from stays out of it.
func wholeBase64(text string, done, from, to int) (int, int) {
	belongs := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("+/-_=", c) >= 0
	}
	for from > done && belongs(text[from-1]) && text[from-1] != '=' {
		from--
	}
	for to < len(text) && belongs(text[to]) {
		to++
	}
	return from, to
}
