package web

import (
	"html/template"
	"slices"
	"strings"

	"scriptbridge/internal/texts"
)

// column is a column of a table that has a row for each R: a table is a list of
// columns, and a new column is one entry in it.
type column[R any] struct {
	title string
	class string // of the heading
	cells string // class of the rows' cells
	cell  func(R) cell
	// key is the column's name in ?sort=, and compare how it sorts; empty where
	// it does not. Where the first click sorts downwards, most is what one looks
	// for.
	key     string
	down    bool
	compare func(a, b R) int
}

// filter is what a table can be narrowed to: the rows for which has is true.
type filter[R any] struct {
	name  string // in ?state=
	label string
	class string // of its link, where there are such rows
	has   func(R) bool
	// rare says that there is no link to it where there are no such rows.
	rare bool
}

// table is a table for the templates "table" and "section".
type table struct {
	ID, Title string // of its section; without one it stands alone
	Count     string // of rows, behind the title
	Fold      string // what to click on to see it
	Class     string // empty: it scrolls by itself where it is too wide
	Headings  []heading
	Rows      []template.HTML // what is between <tr> and </tr>
}

// heading is that of a column, and the link by which one sorts by it. Sorted is
// as aria-sort has it; empty when it is not.
type heading struct{ Title, Class, Href, Sorted string }

// tableOf fills a table.
func tableOf[R any](t table, columns []column[R], rows []R) table {
	if t.Headings == nil {
		for _, c := range columns {
			t.Headings = append(t.Headings, heading{Title: c.title, Class: c.class})
		}
	}
	// A table that scrolls by itself has each cell on a line of its own.
	separator := ""
	if t.Class != "" {
		separator = "\n"
	}
	classes := make([][len(toneClasses)]string, len(columns))
	for i, c := range columns {
		for tone, class := range toneClasses {
			classes[i][tone] = classAttr(c.cells + class)
		}
	}
	var row strings.Builder
	t.Rows = make([]template.HTML, 0, len(rows))
	for _, r := range rows {
		row.Reset()
		for i, c := range columns {
			row.WriteString(separator)
			shown := c.cell(r)
			shown.append(&row, classes[i][shown.tone])
		}
		row.WriteString(separator)
		t.Rows = append(t.Rows, template.HTML(row.String())) // #nosec G203 -- of cells
	}
	return t
}

// classAttr is the attribute for classes that a column names; empty for none.
func classAttr(classes string) string {
	if classes == "" {
		return ""
	}
	return ` class="` + classes + `"`
}

// sortableHeadings are the headings of a table that is sorted as q says.
func sortableHeadings[R any](columns []column[R], q query) []heading {
	list := make([]heading, len(columns))
	for i, c := range columns {
		h := heading{Title: c.title, Class: c.class}
		if c.compare == nil {
			h.Class = strings.TrimSpace(c.class + " plain")
			list[i] = h
			continue
		}
		to := q
		to.Sort, to.Down = c.key, c.down
		if q.Sort == c.key {
			to.Down = !q.Down
			h.Sorted = "ascending"
			if q.Down {
				h.Sorted = "descending"
			}
		}
		h.Href = to.href()
		list[i] = h
	}
	return list
}

// sortRows sorts as q says; equal rows stay in their order.
func sortRows[R any](columns []column[R], rows []R, q query) {
	for _, c := range columns {
		if c.compare == nil || c.key != q.Sort {
			continue
		}
		slices.SortStableFunc(rows, func(a, b R) int {
			if q.Down {
				a, b = b, a
			}
			return c.compare(a, b)
		})
	}
}

// filterLink is a link that shows the rows of one filter only.
type filterLink struct {
	Label, Count, Href string
	Class              string
	On                 bool
}

// filterLinks gives the links for all rows and for each filter.
func filterLinks[R any](filters []filter[R], rows []R, q query) []filterLink {
	link := func(label, name string, n int) filterLink {
		to := q
		to.State = name
		return filterLink{Label: label, Count: number(n), Href: to.href(), On: q.State == name}
	}
	list := []filterLink{link("all", "", len(rows))}
	for _, f := range filters {
		n := 0
		for _, r := range rows {
			if f.has(r) {
				n++
			}
		}
		l := link(f.label, f.name, n)
		if n > 0 {
			l.Class = f.class
		}
		if n > 0 || !f.rare || l.On {
			list = append(list, l)
		}
	}
	return list
}

// keep gives the rows that the filter of that name has; all for none.
func keep[R any](filters []filter[R], rows []R, name string) []R {
	for _, f := range filters {
		if f.name == name {
			return slices.DeleteFunc(rows, func(r R) bool { return !f.has(r) })
		}
	}
	return rows
}

// fact is one line of the list at the top of a page.
type fact struct {
	Name, Text string
	Time       shownTime // instead of Text
	Code       bool
}

// factList is such a list.
type factList []fact

func (f *factList) add(name, text string) { *f = append(*f, fact{Name: name, Text: text}) }

func (f *factList) time(name string, t shownTime) { *f = append(*f, fact{Name: name, Time: t}) }

// code adds what is to be read letter by letter, unless it is empty.
func (f *factList) code(name, text string) {
	if text != "" {
		*f = append(*f, fact{Name: name, Text: texts.Visible(text), Code: true})
	}
}
