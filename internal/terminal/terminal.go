// Package terminal prints for people who look at a terminal: in colour, under
// carets, and over what was printed before. Whosever text it is, what a terminal
// would obey of it is shown (texts.Visible).
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"scriptbridge/internal/texts"
)

// Style is how a text is shown: the parameters of the escape sequence SGR.
type Style string

// The styles. None says anything that the text does not say too.
const (
	Plain   Style = ""
	Good    Style = "32"   // green
	Warning Style = "33"   // yellow
	Bad     Style = "1;31" // bold red
)

// Printer is a writer that can print in colour.
type Printer struct {
	io.Writer // shows what a terminal would obey
	raw       io.Writer
	colored   bool
	columns   int // of the terminal; 0 where it is none
}

// When are the values of --color.
func When() []string { return []string{"auto", "always", "never"} }

// New makes a printer to file, which is reached through safe too. when is the value
// of --color; auto is colour on a terminal, unless NO_COLOR is set or TERM is dumb.
func New(safe, file io.Writer, when string) *Printer {
	p := &Printer{Writer: safe, raw: file, colored: when == "always"}
	if columns, _, ok := Size(file); ok {
		p.columns = columns
		p.colored = p.colored || when == "auto" && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return p
}

// To is a printer that prints to w as p does.
func (p *Printer) To(w io.Writer) *Printer {
	return &Printer{Writer: texts.Terminal(w), raw: w, colored: p.colored, columns: p.columns}
}

// Columns is the width of the terminal; false where p prints to none.
func (p *Printer) Columns() (int, bool) { return p.columns, p.columns > 0 }

// Styled prints a text in a style, where there are colours.
func (p *Printer) Styled(style Style, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !p.colored || style == Plain || text == "" {
		fmt.Fprint(p, text)
		return
	}
	body, end := strings.CutSuffix(text, "\n")
	line := "\x1b[" + string(style) + "m" + texts.Visible(body) + "\x1b[0m"
	if end {
		line += "\n"
	}
	io.WriteString(p.raw, line) //nolint:errcheck // who does not read it has left
}

// Drawn prints what a printer has made that p is the model of: see To.
func (p *Printer) Drawn(text string) {
	if !p.colored {
		fmt.Fprint(p, text)
		return
	}
	io.WriteString(p.raw, text) //nolint:errcheck // who does not read it has left
}

// Size is that of the terminal that w is; false where it is none.
func Size(w io.Writer) (columns, lines int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	if err == nil && columns <= 0 { // one that has not been told its size
		columns, lines = 80, 24
	}
	return columns, lines, err == nil
}

// Frame draws a text that a Printer has made over the one before, in one piece and
// without clearing the screen first, so that nothing flickers. Lines that are too
// long are cut by the terminal.
func Frame(text string, lines int) string {
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if most := lines - 1; most > 0 && len(all) > most {
		more := len(all) - most + 1
		all = append(all[:most-1], fmt.Sprintf("… %d more lines", more))
	}
	const home, noWrap, wrap, clearLine, clearRest = "\x1b[H", "\x1b[?7l", "\x1b[?7h", "\x1b[K", "\x1b[J"
	return noWrap + home + strings.Join(all, clearLine+"\n") + clearLine + "\n" + clearRest + wrap
}
