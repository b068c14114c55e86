package web

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"scriptbridge/internal/texts"
)

// query is what one asks of the status page: ?sort=-duration&state=failing&q=web&refresh=10.
type query struct {
	Sort    string // a column's key; by state when it is left out: what fails comes first
	Down    bool
	State   string // a filter's name; empty for all
	Text    string // part of a script's name or dialect
	Refresh int    // seconds; 0 for never
	// Unknown is what it also asks for, such as "sort=nonsense".
	Unknown []string
}

const (
	defaultSort    = "state"
	defaultRefresh = 10
)

// queryOf reads a query for a table of these columns and filters. What it does
// not know it leaves out, and tells: an old bookmark still shows a page.
func queryOf[R any](form url.Values, columns []column[R], filters []filter[R]) query {
	q := query{Sort: defaultSort, Text: strings.TrimSpace(form.Get("q")), Refresh: refreshOf(form)}
	key, down := strings.CutPrefix(form.Get("sort"), "-")
	if slices.ContainsFunc(columns, func(c column[R]) bool { return c.compare != nil && c.key == key }) {
		q.Sort, q.Down = key, down
	} else if key != "" {
		q.unknown("sort", form)
	}
	if name := form.Get("state"); slices.ContainsFunc(filters, func(f filter[R]) bool { return f.name == name }) {
		q.State = name
	} else if name != "" {
		q.unknown("state", form)
	}
	if n := form.Get("refresh"); n != "" && n != "0" && q.Refresh == 0 {
		q.unknown("refresh", form)
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if !slices.Contains([]string{"sort", "state", "q", "refresh"}, name) {
			q.unknown(name, form)
		}
	}
	return q
}

// unknown notes a part of the query that says nothing to this page.
func (q *query) unknown(name string, form url.Values) {
	const most = 10
	if len(q.Unknown) < most {
		q.Unknown = append(q.Unknown, texts.Visible(texts.Shorten(name+"="+form.Get(name), 100)))
	}
}

func refreshOf(form url.Values) int {
	n, err := strconv.Atoi(form.Get("refresh"))
	if err != nil || n <= 0 {
		return 0
	}
	return min(n, 24*3600)
}

// SortParam is the value of ?sort=; empty for the default.
func (q query) SortParam() string {
	switch {
	case q.Down:
		return "-" + q.Sort
	case q.Sort == defaultSort:
		return ""
	}
	return q.Sort
}

func (q query) href() string {
	form := url.Values{}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	set("sort", q.SortParam())
	set("state", q.State)
	set("q", q.Text)
	if q.Refresh > 0 {
		set("refresh", strconv.Itoa(q.Refresh))
	}
	if len(form) == 0 {
		return "./"
	}
	return "?" + form.Encode()
}

// toggled is the query with refreshing switched on or off.
func (q query) toggled() query {
	if q.Refresh > 0 {
		q.Refresh = 0
	} else {
		q.Refresh = defaultRefresh
	}
	return q
}
