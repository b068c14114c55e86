package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"scriptbridge/internal/terminal"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/status"
)

// overviewText shows an overview: first a line as Nagios wants it of a plugin, then
// the tables of the first page. What is not well has a colour.
func overviewText(p *terminal.Printer, o *status.Overview, now time.Time) {
	p.Styled(styleOf(o.Severity()), "%s\n", pluginLine(o))
	rows, styles := scriptRows(o, now)
	table(p, scriptHeadings(), rows, styles)
	rows, styles = receiverRows(o, now)
	table(p, []string{"RECEIVER", "STATE", "LAST BATCH", "SERIES", "DROPPED", "REFUSED", "WHY"}, rows, styles)
	rows, styles = uploadRows(o, now)
	table(p, []string{"UPLOAD", "STATE", "QUEUED", "OLDEST", "SENT", "REFUSED", "WHY"}, rows, styles)
	if t := o.Textfile; t != nil && t.State == status.Failing {
		p.Styled(terminal.Bad, "\nThe file for node_exporter is not written.%s\n", cell(" "+t.Error))
	}
	if !o.Config.OK {
		p.Styled(terminal.Bad, "\nThe last reload failed, %s. The previous configuration stays in use.%s\n", ago(o.Config.At, now), cell(" "+o.Config.Error))
	}
	if o.Hidden != "" {
		fmt.Fprint(p, "\nErrors are not shown in their own words: "+o.Hidden+".\n")
	}
}

// table prints rows below headings, each in its style; nothing without rows.
func table(p *terminal.Printer, headings []string, rows [][]string, styles []terminal.Style) {
	if len(rows) == 0 {
		return
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{headings}, rows...) {
		for i, text := range row {
			if row[i] = cell(text); row[i] == "" {
				row[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush() //nolint:errcheck // into a strings.Builder
	fmt.Fprintln(p)
	i := 0
	for line := range strings.Lines(b.String()) {
		style := terminal.Plain
		if i > 0 {
			style = styles[i-1]
		}
		p.Styled(style, "%s", line)
		i++
	}
}

// rowStyle is the style of a row: what is well has no colour.
func rowStyle(s status.Severity) terminal.Style {
	if s == status.Fine {
		return terminal.Plain
	}
	return styleOf(s)
}

// cell is a text on one line, cut. A stroke would begin performance data.
func cell(text string) string {
	return line(texts.Shorten(text, 240))
}

func line(text string) string { return strings.ReplaceAll(texts.OneLine(text), "|", "¦") }

func ago(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return texts.Roughly(now.Sub(t)) + " ago"
}

func scriptHeadings() []string {
	return []string{"SCRIPT", "DIALECT", "STATE", "LAST RUN", "NEXT", "TOOK", "EXIT", "SERIES", "REFUSED", "WHY"}
}

// scriptRows has what wants looking at first, then what loses lines, and all in the
// order of the configuration.
func scriptRows(o *status.Overview, now time.Time) (rows [][]string, styles []terminal.Style) {
	sorted := make([]*status.Script, len(o.Scripts))
	for i := range o.Scripts {
		sorted[i] = &o.Scripts[i]
	}
	slices.SortStableFunc(sorted, func(a, b *status.Script) int {
		return cmp.Compare(status.Urgency(a.State, a.Refused), status.Urgency(b.State, b.Refused))
	})
	for _, s := range sorted {
		row := []string{s.Name, s.Dialect, stateText(s), "", nextText(s, now), "", "", texts.Number(s.Series), "", whyText(s)}
		if l := s.Last; l != nil && s.State != status.Disabled {
			row[3], row[5] = ago(l.Start, now), texts.Took(time.Duration(l.Duration*float64(time.Second)))
			if l.ExitCode != nil {
				row[6] = strconv.Itoa(*l.ExitCode)
			}
		}
		if s.Refused > 0 {
			row[8] = texts.Number(s.Refused)
		}
		rows, styles = append(rows, row), append(styles, rowStyle(s.Severity()))
	}
	return rows, styles
}

// triedRows are the rows of scripts that have just run, without what is about a
// schedule.
func triedRows(o *status.Overview) (headings []string, rows [][]string, styles []terminal.Style) {
	all, styles := scriptRows(o, time.Time{})
	for _, row := range all {
		rows = append(rows, slices.Concat(row[:3], row[5:]))
	}
	headings = scriptHeadings()
	return slices.Concat(headings[:3], headings[5:]), rows, styles
}

// stateText is the state, of a failure its kind, and what goes on.
func stateText(s *status.Script) string {
	text := s.State.Words()
	switch {
	case s.State == status.Failing && s.Last != nil && s.Last.Result != record.Error:
		text += " (" + string(s.Last.Result) + ")"
	case s.State.Severity() != status.Fine && s.State != status.Failing:
		text = strings.ToUpper(text)
	}
	if s.Activity == script.Running || s.Activity == script.Waiting && s.State != status.NotYetRun {
		text += ", " + string(s.Activity)
	}
	return text
}

func nextText(s *status.Script, now time.Time) string {
	switch d := s.Next.Sub(now); {
	case s.Next.IsZero():
		return ""
	case d < time.Second:
		return "now"
	default:
		return "in " + texts.Roughly(d)
	}
}

// whyText is why a script is as it is: in its own words, where those are there.
func whyText(s *status.Script) string {
	l := s.Last
	switch {
	case s.State == status.Disabled:
		return s.Warning
	case l == nil:
		return ""
	case s.State == status.Failing && l.Stderr != "" && !strings.Contains(l.Error, l.Stderr):
		return l.Error + "; stderr: " + l.Stderr
	case s.State == status.Failing:
		return cmp.Or(l.Error, l.Cause)
	case l.Text != "":
		return l.Text
	}
	return counted(s.Reasons)
}

// counted is how many there were of each reason.
func counted(reasons map[string]int) string {
	var all []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		if n := reasons[reason]; n > 0 {
			all = append(all, texts.Number(n)+" × "+reason)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "refused: " + strings.Join(all, ", ")
}

func receiverRows(o *status.Overview, now time.Time) (rows [][]string, styles []terminal.Style) {
	for i := range o.Receivers {
		r := &o.Receivers[i]
		rows = append(rows, []string{
			r.Name, r.State.Words(), ago(r.Last, now), texts.Number(r.Series), texts.Number(total(r.Dropped)), texts.Number(r.Refused),
			cmp.Or(r.Error, r.Cause, counted(r.Reasons)),
		})
		styles = append(styles, rowStyle(r.Severity()))
	}
	return rows, styles
}

func uploadRows(o *status.Overview, now time.Time) (rows [][]string, styles []terminal.Style) {
	for _, u := range o.Uploads {
		rows = append(rows, []string{
			u.Name, u.State.Words(), texts.Number(int(u.Queued)), ago(u.Oldest, now), texts.Number(int(u.Sent)), texts.Number(int(u.Refused)), cmp.Or(u.Error, u.Cause),
		})
		styles = append(styles, rowStyle(u.State.Severity()))
	}
	return rows, styles
}

func total(by map[string]uint64) (n int) {
	for _, one := range by {
		n += int(one)
	}
	return n
}

// pluginLine is the first line: how all is, with performance data.
func pluginLine(o *status.Overview) string {
	var wrong []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s (%s)", len(names), what, someOf(names, 5)))
		}
	}
	named := func(has func(*status.Script) bool) (names []string) {
		for i := range o.Scripts {
			if has(&o.Scripts[i]) {
				names = append(names, o.Scripts[i].Name)
			}
		}
		return names
	}
	for _, state := range status.States() {
		if state.Severity() != status.Fine {
			add(state.Words(), named(func(s *status.Script) bool { return s.State == state }))
		}
	}
	strange := named(func(s *status.Script) bool { return !slices.Contains(status.States(), s.State) })
	lossy := named(func(s *status.Script) bool { return s.Refused > 0 })
	add("with refused lines", lossy)
	var down, bad, failing []string
	for i := range o.Receivers {
		switch r := &o.Receivers[i]; {
		case r.State == status.Down:
			down = append(down, r.Name)
		case r.State != status.Open && r.State != status.Opening:
			strange = append(strange, r.Name)
		case r.Severity() != status.Fine:
			bad = append(bad, r.Name)
		}
	}
	for _, u := range o.Uploads {
		switch u.State {
		case status.Failing:
			failing = append(failing, u.Name)
		case status.OK, status.Opening:
		default:
			strange = append(strange, u.Name)
		}
	}
	add(texts.Plural(len(down), "receiver")+" down", down)
	add(texts.Plural(len(bad), "receiver")+" with refused series", bad)
	add(texts.Plural(len(failing), "upload")+" failing", failing)
	add("in a state that this version does not know", strange)
	if t := o.Textfile; t != nil && t.State == status.Failing {
		wrong = append(wrong, "the file for node_exporter is not written")
	}
	if !o.Config.OK {
		wrong = append(wrong, "the last reload failed")
	}
	text := [...]string{"OK", "WARNING", "CRITICAL"}[o.Severity()] + ": " + texts.Count(len(o.Scripts), "script")
	if len(wrong) > 0 {
		text += ": " + strings.Join(wrong, ", ")
	}
	n := func(s status.State) int { return o.States[s] }
	return line(text) + fmt.Sprintf(" | scripts=%d failing=%d critical=%d warning=%d unknown=%d refused=%d receivers_down=%d uploads_failing=%d series=%d",
		len(o.Scripts), n(status.Failing), n(status.Critical), n(status.Warning), n(status.Unknown), len(lossy), len(down), len(failing), o.Series)
}

// someOf names the first of several.
func someOf(names []string, most int) string {
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
