package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query is what one asks of the status page: ?sort=-duration&state=failing&q=web&refresh=10.
type query struct {
	Sort    string // a column's key; by state when it is left out: what fails comes first
	Down    bool
	State   string // one of states; empty for all
	Text    string // part of a script's name or dialect
	Refresh int    // seconds; 0 for never
}

const (
	defaultSort    = "state"
	defaultRefresh = 10
)

// queryOf reads a query. What it does not know it leaves out: an old bookmark
// still shows a page.
func queryOf(form url.Values) query {
	q := query{Sort: defaultSort, Text: strings.TrimSpace(form.Get("q")), Refresh: refreshOf(form)}
	key, down := strings.CutPrefix(form.Get("sort"), "-")
	for _, o := range orders {
		if o.compare != nil && o.key == key {
			q.Sort, q.Down = key, down
		}
	}
	for _, st := range states {
		if st.name == form.Get("state") {
			q.State = st.name
		}
	}
	return q
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

func (q query) wants(r *row) bool {
	for _, st := range states {
		if st.name == q.State && !st.has(r) {
			return false
		}
	}
	s, text := r.view.Script, strings.ToLower(q.Text)
	return strings.Contains(strings.ToLower(s.Name), text) || strings.Contains(s.Dialect.Name, text)
}

func (q query) sort(rows []*row) {
	for _, o := range orders {
		if o.key != q.Sort || o.compare == nil {
			continue
		}
		slices.SortStableFunc(rows, func(a, b *row) int {
			if q.Down {
				a, b = b, a
			}
			return o.compare(a, b)
		})
	}
}

func filters(rows []*row, q query) []filter {
	all := q
	all.State = ""
	list := []filter{{Label: "all", Count: number(len(rows)), Href: all.href(), On: q.State == ""}}
	for _, st := range states {
		n := 0
		for _, r := range rows {
			if st.has(r) {
				n++
			}
		}
		one := q
		one.State = st.name
		f := filter{Label: st.label, Count: number(n), Href: one.href(), On: q.State == st.name}
		if n > 0 {
			f.Class = st.class
		}
		list = append(list, f)
	}
	return list
}

func columns(q query) []column {
	list := make([]column, len(orders))
	for i, o := range orders {
		list[i] = column{Title: o.title, Class: o.class}
		if o.compare == nil {
			continue
		}
		to := q
		to.Sort, to.Down = o.key, o.down
		if q.Sort == o.key {
			to.Down = !q.Down
			list[i].Sorted = "ascending"
			if q.Down {
				list[i].Sorted = "descending"
			}
		}
		list[i].Href = to.href()
	}
	return list
}
