package web

import (
	"html/template"
	"strings"
)

// cell is what a row has in a column. What is in it is escaped when it is made:
// a template would do the same in ten times the time, for each cell of a page.
type cell struct {
	html    template.HTML
	heading bool // of its row
	tone    tone
}

// tone is the colour of a cell, beside what it says.
type tone int

// The tones, and their classes.
const (
	plainTone tone = iota
	warnTone
	badTone
)

var toneClasses = [...]string{plainTone: "", warnTone: " warn", badTone: " bad"}

// in gives a cell a tone.
func (c cell) in(t tone) cell {
	c.tone = t
	return c
}

func textCell(text string) cell { return cell{html: escape(text)} }

// breakable lets a name of several words go on in the next line between them.
var breakable = strings.NewReplacer("_", "_<wbr>", ".", ".<wbr>", "/", "/<wbr>", ":", ":<wbr>")

// headingCell is the heading of its row; href may be empty.
func headingCell(text, href string) cell {
	c := cell{html: escape(text), heading: true}
	if len(text) > 20 {
		c.html = template.HTML(breakable.Replace(string(c.html))) // #nosec G203 -- escaped
	}
	if href != "" {
		c.html = `<a href="` + escape(href) + `">` + c.html + `</a>`
	}
	return c
}

// timeCell shows a time; nothing for the zero time.
func timeCell(t shownTime) cell { return cell{html: t.HTML()} }

func badgeCell(b badge) cell { return cell{html: b.HTML()} }

// noteCell is cut after two lines by the style; empty for no note.
func noteCell(note string) cell {
	if note == "" {
		return cell{}
	}
	return cell{html: `<span>` + escape(note) + `</span>`}
}

// codesCell is a list of what is to be read letter by letter.
func codesCell(codes ...string) cell {
	var c cell
	for i, code := range codes {
		if i > 0 {
			c.html += ", "
		}
		c.html += `<code>` + escape(code) + `</code>`
	}
	return c
}

// small puts a small text behind a cell's content, unless it is empty.
func (c cell) small(text string) cell {
	if text != "" {
		c.html += ` <small>` + escape(text) + `</small>`
	}
	return c
}

// tag puts a tag behind a cell's content.
func (c cell) tag(text string) cell {
	c.html += ` <code>` + escape(text) + `</code>`
	return c
}

// append is the cell as HTML; class is the attribute of its column.
func (c cell) append(to *strings.Builder, class string) {
	begin, end := `<td`+class+`>`, `</td>`
	if c.heading {
		begin, end = `<th scope="row" class="name">`, `</th>`
	}
	to.WriteString(begin)
	to.WriteString(string(c.html))
	to.WriteString(end)
}

// escape is a text in HTML, and between the quotes of an attribute.
func escape(text string) template.HTML {
	return template.HTML(template.HTMLEscapeString(text)) // #nosec G203 -- escaped
}

// HTML is the badge for a template.
func (b badge) HTML() template.HTML {
	return `<span class="badge ` + escape(b.Class) + `"><span aria-hidden="true">` + escape(b.Sign) + `</span> ` + escape(b.Word) + `</span>`
}

// HTML is the time for a template; nothing for the zero value.
func (t shownTime) HTML() template.HTML {
	if t.Text == "" {
		return ""
	}
	return `<time datetime="` + escape(t.ISO) + `" title="` + escape(t.Exact) + `">` + escape(t.Text) + `</time>`
}
