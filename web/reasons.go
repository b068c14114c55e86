package web

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// reasonsText has what docs/ say of each reason for which something is refused or dropped:
// section, reasons, what happened, what to do, between tabs. A test makes it of the
// tables there, so that a host without a way to the docs has the same.
//
//go:embed page/reasons.txt
var reasonsText string

//go:embed page/reasons.html
var reasonsHTML string

// reasonSection are the reasons of one dialect or receiver; those of all have no name.
type reasonSection struct {
	Name    string
	Reasons []reason
}

type reason struct {
	Names    []reasonName
	What, Do template.HTML
}

// reasonName is a reason, and where it is on the page.
type reasonName struct{ ID, Name string }

// readReasons reads reasonsText.
func readReasons(text string) (sections []reasonSection) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 {
			continue // a test has none
		}
		if n := len(sections); n == 0 || sections[n-1].Name != fields[0] {
			sections = append(sections, reasonSection{Name: fields[0]})
		}
		s := &sections[len(sections)-1]
		r := reason{What: withCode(fields[2]), Do: withCode(fields[3])}
		for _, name := range strings.Fields(fields[1]) {
			r.Names = append(r.Names, reasonName{reasonID(s.Name, name), name})
		}
		s.Reasons = append(s.Reasons, r)
	}
	return sections
}

// knowReasons makes the page's list, and where in it each reason is.
func (s *Server) knowReasons() {
	s.reasonList, s.reasonIDs = readReasons(reasonsText), make(map[string]bool)
	for _, section := range s.reasonList {
		for _, r := range section.Reasons {
			for _, name := range r.Names {
				s.reasonIDs[name.ID] = true
			}
		}
	}
}

func reasonID(section, name string) string {
	if section == "" {
		return name
	}
	return section + "-" + name
}

// withCode makes code of what is between backquotes.
func withCode(text string) template.HTML {
	var html template.HTML
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			html += `<code>` + escape(part) + `</code>`
			continue
		}
		html += escape(part)
	}
	return html
}

// reasonHref is where a page beside that of reasons tells of one that a dialect or a
// receiver gave; empty where nothing is known of it.
func (s *Server) reasonHref(of, name string) string {
	for _, section := range []string{of, ""} {
		if id := reasonID(section, name); s.reasonIDs[id] {
			return "../reasons#" + id
		}
	}
	return ""
}

// explained leads from tallies to what is known of their reasons.
func (s *Server) explained(of string, t tallies) tallies {
	for i := range t.List {
		t.List[i].Href = s.reasonHref(of, t.List[i].Reason)
	}
	return t
}

// reasonsPage is the data of page/reasons.html.
type reasonsPage struct {
	frame
	Sections []reasonSection
}

func (s *Server) serveReasons(w http.ResponseWriter, _ *http.Request) {
	s.render(w, http.StatusOK, s.reasons, &reasonsPage{s.frame("Reasons – scriptbridge", "./", time.Now()), s.reasonList})
}
