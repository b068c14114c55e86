package terminal

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"scriptbridge/internal/texts"
)

// Pointed is a line of somebody's, and below it carets under what is said of it: the
// first thing that about names and that stands in the line, at each place where it
// does. carets is "" where that is not known. A line that is longer than columns is cut
// around the first of them.
func Pointed(line, about string, columns int) (shown, carets string) {
	word, places := named(line, about)
	meant := make([]bool, len(line))
	for _, at := range places {
		for i := range word {
			meant[at+i] = true
		}
	}
	var b strings.Builder
	var marks []byte
	first := -1
	for i := 0; i < len(line); {
		_, size := utf8.DecodeRuneInString(line[i:])
		piece := texts.Printable(line[i : i+size])
		mark := byte(' ')
		if meant[i] {
			mark = '^'
		}
		if mark == '^' && first < 0 {
			first = len(marks)
		}
		b.WriteString(piece)
		for range utf8.RuneCountInString(piece) {
			marks = append(marks, mark)
		}
		i += size
	}
	runes := []rune(b.String())
	if all := len(runes); columns > 2 && all > columns {
		from := max(0, min(first-columns/3, all-columns+1))
		to := min(all, from+columns-1)
		runes, marks = runes[from:to], marks[from:to]
		runes[0], runes[len(runes)-1] = cutAt(runes[0], from > 0), cutAt(runes[len(runes)-1], to < all)
	}
	shown, carets = string(runes), strings.TrimRight(string(marks), " ")
	if strings.ContainsFunc(string(runes[:min(len(carets), len(runes))]), isWide) {
		carets = "" // its place on the screen is not known
	}
	return shown, carets
}

func cutAt(r rune, cut bool) rune {
	if cut {
		return '…'
	}
	return r
}

// isWide reports whether a character may take another place than one column.
func isWide(r rune) bool { return r >= 0x1100 && r != '…' || unicode.Is(unicode.M, r) }

var (
	quoted  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	subject = regexp.MustCompile(`^([^\s:"]+): `)
	token   = regexp.MustCompile(`[^\s,;:()"]+`)
	telling = regexp.MustCompile(`[0-9A-Z_.{}=|%-]`) // of a word that is no English
)

// named is the first thing that a text names and that stands in a line, and where.
func named(line, about string) (word string, places []int) {
	about, _, _ = strings.Cut(about, " (") // the remedy, which has other words
	var names []string
	for _, q := range quoted.FindAllString(about, -1) {
		if name, err := strconv.Unquote(q); err == nil {
			names = append(names, name)
		}
		names = append(names, q[1:len(q)-1])
	}
	if m := subject.FindStringSubmatch(about); m != nil {
		names = append(names, m[1])
	}
	for _, t := range token.FindAllString(about, -1) {
		if telling.MatchString(t) {
			names = append(names, strings.TrimSuffix(t, "."))
		}
	}
	for _, name := range names {
		if places := standing(line, name); len(places) > 0 {
			return name, places
		}
	}
	return "", nil
}

// standing are the places of a word in a line; as part of a longer word only where it
// does not stand by itself.
func standing(line, word string) (places []int) {
	var within []int
	for at := 0; word != "" && at < len(line); {
		i := strings.Index(line[at:], word)
		if i < 0 {
			break
		}
		from, to := at+i, at+i+len(word)
		before, _ := utf8.DecodeLastRuneInString(line[:from])
		after, _ := utf8.DecodeRuneInString(line[to:])
		if (from == 0 || !isPart(before)) && (to == len(line) || !isPart(after)) {
			places = append(places, from)
		} else {
			within = append(within, from)
		}
		at = to
	}
	if len(places) == 0 && len(within) == 1 {
		return within
	}
	return places
}

func isPart(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_.-", r)
}
