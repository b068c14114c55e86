package web

import (
	"bytes"
	"slices"
	"time"

	"scriptbridge/collector"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script"
)

// What the page shows of an output at most without a click, and of one line.
const (
	linesShown = 50
	lineShown  = 1 << 10 // bytes
	perLine    = 50      // of what one line of output became
)

// output is what a script printed, line by line, each with what became of it.
type output struct {
	// Open are the first lines, Closed those that a click shows, and Left is
	// how many more of them there are.
	Open, Closed []line
	Left         int
	Of           shownTime // when the run began, where it is not the last one
	Cut          bool
	Dropped      bool     // nothing of it was used, because the run failed
	Said         []string // of many lines at once
	Rest         []note   // refused, and on no line shown
	RestLeft     int
}

// line is one line of output. A note says what it became or why it was
// refused; none, that it was ignored.
type line struct {
	File   string // where its text begins here
	Number int    // in its file, or in the output where that is of no file
	Text   string
	Blank  bool
	Unused bool // with all of the output
	Notes  []note
	More   int // notes that are not shown
}

// note is one thing that became of a line.
type note struct {
	Kind   string // series, event, refused
	Text   string
	Value  string // of a series; the reason of a refusal
	Made   string // how a series' value was made of the one that was printed
	Line   int    // in output.Rest, 0 for none
	Place  string // of Line, where that is of a file
	Source string // in output.Rest: the line itself
}

// outputOf joins the lines of the output with what became of them.
func outputOf(v *script.View, series []collector.SeriesView, refusals []collector.Refusal) output {
	of := v.OutputOf
	if of == nil {
		return output{}
	}
	o := output{Cut: v.OutputCut, Dropped: of.Result != record.OK && of.Samples == 0 && of.Events == 0}
	if of != v.Last {
		o.Of = ago(of.Start, time.Now())
	}
	lines := linesOf(v.Output, v.Files, o.Dropped)
	if of.Samples > 0 { // else the series are of an earlier run, and so are their lines
		for _, s := range series {
			o.put(lines, s.Line, note{Kind: "series", Text: texts.Visible(s.Text), Value: plainNumber(s.Value), Made: made(s)})
		}
	}
	for _, e := range v.Events[:min(len(v.Events), of.Events)] { // newest first
		o.put(lines, e.Line, note{Kind: "event", Text: texts.Visible(e.Name)})
	}
	for _, le := range v.Lines {
		if o.Dropped || le.More > 0 {
			o.say(le)
			continue
		}
		o.put(lines, le.Line, note{Kind: "refused", Place: placeOf(v.Files, le.Line), Text: texts.Visible(le.Error()), Value: texts.Visible(le.Reason), Source: texts.Visible(texts.Shorten(le.Text, 200))})
	}
	for _, r := range refusals {
		o.put(lines, r.Line, note{Kind: "refused", Place: placeOf(v.Files, r.Line), Text: texts.Visible(r.Metric + ": " + r.Text), Value: texts.Visible(r.Reason)})
	}
	o.fold(lines)
	return o
}

// placeOf names a line of the output that is of a file; "" where it is of none.
func placeOf(files record.Files, number int) string {
	if file, _ := files.Find(number); file == "" {
		return ""
	}
	return texts.Visible(files.Place(number))
}

// linesOf cuts a text into lines, which it counts in each of the files that it was
// read from.
func linesOf(text []byte, files record.Files, unused bool) (lines []line) {
	if len(text) == 0 {
		return nil
	}
	rest, more := bytes.TrimSuffix(text, []byte("\n")), true
	for more {
		var one []byte
		one, rest, more = bytes.Cut(rest, []byte("\n"))
		file, number := files.Find(len(lines) + 1)
		if number > 1 {
			file = ""
		}
		lines = append(lines, line{
			File: texts.Visible(file), Number: number, Text: texts.Visible(texts.Shorten(string(one), lineShown)), Blank: len(bytes.TrimSpace(one)) == 0, Unused: unused,
		})
	}
	return lines
}

func (o *output) put(lines []line, number int, n note) {
	if number < 1 || number > len(lines) {
		if n.Kind == "refused" {
			n.Line = max(number, 0)
			o.Rest = append(o.Rest, n)
		}
		return // its own list has it
	}
	l := &lines[number-1]
	if len(l.Notes) == perLine {
		l.More++
		return
	}
	l.Notes = append(l.Notes, n)
}

// say takes in what is true of many lines, once.
func (o *output) say(le *record.LineError) {
	if text := sentence(texts.Visible(le.Error())); len(o.Said) < linesShown && !slices.Contains(o.Said, text) {
		o.Said = append(o.Said, text)
	}
}

// fold leaves so much open that what follows on the page can be reached. Of an
// output that is of no use a click shows the beginning alone.
func (o *output) fold(lines []line) {
	if more := len(o.Rest) - linesShown; more > 0 {
		o.Rest, o.RestLeft = o.Rest[:linesShown], more
	}
	if len(lines) <= linesShown {
		o.Open = lines
		return
	}
	if o.Dropped {
		o.Closed, o.Left = lines[:linesShown], len(lines)-linesShown
		return
	}
	o.Open, o.Closed = lines[:linesShown], lines[linesShown:]
}

// stderrRun is what one run wrote to standard error, of the lines that are kept.
type stderrRun struct {
	Began shownTime // of the first of the lines
	Lines []stderrLine
}

// stderrLine is one line of it.
type stderrLine struct{ Clock, Text string }

// stderrRuns are the lines by run, the newest run first: what one looks for is not at
// the end of what was before.
func stderrRuns(lines []script.StderrLine, now time.Time) (runs []stderrRun) {
	for i, l := range lines {
		if i == 0 || l.Run != lines[i-1].Run {
			runs = append(runs, stderrRun{Began: ago(l.At, now)})
		}
		r := &runs[len(runs)-1]
		r.Lines = append(r.Lines, stderrLine{l.At.Format(time.TimeOnly), texts.Visible(l.Text)})
	}
	slices.Reverse(runs)
	return runs
}
