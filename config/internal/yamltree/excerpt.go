package yamltree

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"scriptbridge/internal/joined"
)

// excerptWidth is how much of a line an excerpt shows, in columns.
const excerptWidth = 100

// excerpt shows a line of a text with a caret under a column, both from 1, and
// without what may be a secret. It is two lines without an end.
func excerpt(lines []string, line, column int) string {
	if line < 1 || line > len(lines) {
		return ""
	}
	whole, shown := []rune(lines[line-1]), []rune(hideSecrets(lines, line))
	at := min(max(column-1, 0), len(shown))
	if i := differ(whole, shown); at > i { // it is in what is hidden
		at = i
	}
	from := 0
	if at > excerptWidth*3/4 {
		from = at - excerptWidth/2
	}
	to := min(len(shown), from+excerptWidth)
	var text strings.Builder
	for _, r := range shown[from:to] {
		switch {
		case r == '\t':
			r = '→'
		case !unicode.IsPrint(r):
			r = '\ufffd'
		}
		text.WriteRune(r)
	}
	number := fmt.Sprint(line)
	left := strings.Repeat(" ", len(number))
	return fmt.Sprintf("  %s | %s\n  %s | %s^", number, strings.TrimRight(text.String(), " "), left, strings.Repeat(" ", at-from))
}

// differ is the index of the first rune that two texts do not share.
func differ(a, b []rune) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return max(len(a), len(b))
}

// hideSecrets gives a line with what may be a secret in it made <secret>: what
// follows a key or an option whose name is that of one, and all that stands
// beneath such a key or beneath env. The text is no YAML, so its form alone
// tells.
func hideSecrets(lines []string, line int) string {
	text := lines[line-1]
	if m := secretIn.FindStringIndex(text); m != nil {
		return text[:m[1]] + Hidden
	}
	if line > 1 && secretLast.MatchString(lines[line-2]) { // an item of a list whose next one is its value
		return text[:contentOf(text)] + Hidden
	}
	indent := contentOf(text)
	if !lineKey.MatchString(text) { // it may go on with what the key above it holds
		indent++
	}
	for n := line - 1; n > 0 && indent > 0; n-- {
		above := lines[n-1]
		if strings.TrimSpace(above) == "" || contentOf(above) >= indent {
			continue
		}
		indent = contentOf(above)
		if m := lineKey.FindStringSubmatch(above); m != nil && (m[1] == "env" || secretKey(m[1])) {
			return hideValue(text)
		}
	}
	return text
}

// hideValue hides what follows the key that a line begins with, or all of it.
func hideValue(text string) string {
	if m := lineKey.FindStringIndex(text); m != nil {
		return text[:m[1]] + Hidden
	}
	return text[:contentOf(text)] + Hidden
}

// contentOf is where a line begins behind its indentation and dashes.
func contentOf(text string) int { return len(text) - len(strings.TrimLeft(text, " \t-")) }

// WithExcerpts is err, whose text shows beneath each error that has one an
// excerpt of its line. It is for the terminal of who may read the file: which
// words in it are secrets can only be guessed.
func WithExcerpts(err error) error {
	if err == nil {
		return nil
	}
	return &excerpted{err}
}

type excerpted struct{ err error }

// Unwrap gives the errors that have excerpts.
func (e *excerpted) Unwrap() error { return e.err }

// Error gives each error in a line, with its excerpt beneath it.
func (e *excerpted) Error() string {
	errs := joined.Split(e.err)
	texts := make([]string, len(errs))
	for i, one := range errs {
		texts[i] = one.Error()
		if e, ok := errors.AsType[*Error](one); ok && e.Excerpt != "" {
			texts[i] = strings.Replace(texts[i], e.Error(), e.text(e.Remedy+e.Quoted), 1) + "\n" + e.Excerpt
		}
	}
	return strings.Join(texts, "\n")
}
