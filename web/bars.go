package web

import (
	"html/template"
	"strconv"
	"time"

	"scriptbridge/record"
	"scriptbridge/script"
)

const (
	barsShown = 20
	barsStep  = 5  // from bar to bar
	barsLine  = 15 // the line that they stand on, in a box of 100 by 20
	// Bars are of few heights, so that a page of a thousand scripts compresses well.
	barsLevels, barsLevel = 4, 3
)

// barsOf draws the last runs, the newest on the right: a run that went well is a
// bar upwards, as high as it took long beside the others; one that failed is
// a mark below the line, and one whose script says that something is wrong is both, so
// that nothing is told by colour alone. The label is for
// those who do not see it. Nothing for no runs.
func barsOf(history script.History) template.HTML {
	history = history.Newest(barsShown)
	if history.Len() == 0 {
		return ""
	}
	longest := time.Duration(1)
	for _, v := range history.All() {
		if v.Result == record.OK {
			longest = max(longest, v.Duration)
		}
	}
	var ok, warn, bad barPen
	failed, warned := 0, 0
	for i, v := range history.All() { // newest first
		x := (barsShown-i)*barsStep - 2
		if v.Result != record.OK {
			failed++
			bad.draw(x, barsLine+1, barsLine+5)
			continue
		}
		height := 2 + int(float64(v.Duration)/float64(longest)*barsLevels)*barsLevel
		if troubled(&v) {
			warned++
			warn.draw(x, barsLine+3, barsLine-height)
			continue
		}
		ok.draw(x, barsLine, barsLine-height)
	}
	label := "the last run: "
	if history.Len() > 1 {
		label = "the last " + count(history.Len(), "run") + ": "
	}
	label += strconv.Itoa(history.Len()-failed-warned) + " ok, " + strconv.Itoa(failed) + " failed"
	if warned > 0 {
		label += ", " + strconv.Itoa(warned) + " not OK"
	}
	return template.HTML(`<svg class="bars" viewBox="0 0 100 20" role="img"><title>` + label + // #nosec G203 -- numbers and words of ours
		`</title><path class="base" d="M0 15.5h100"/>` + barPath("ok", string(ok.d)) + barPath("warn", string(warn.d)) + barPath("bad", string(bad.d)) + `</svg>`)
}

// barPen draws vertical lines, each relative to the one before: equal ones are then
// written in the same way, which compresses well.
type barPen struct {
	d    []byte
	x, y int
}

func (p *barPen) draw(x, from, to int) {
	if p.d == nil {
		p.d = make([]byte, 0, barsShown*10)
		p.move('M', x, from)
	} else {
		p.move('m', x-p.x, from-p.y)
	}
	p.d = strconv.AppendInt(append(p.d, 'v'), int64(to-from), 10)
	p.x, p.y = x, to
}

func (p *barPen) move(command byte, x, y int) {
	p.d = strconv.AppendInt(append(p.d, command), int64(x), 10)
	p.d = strconv.AppendInt(append(p.d, ' '), int64(y), 10)
}

// barPath draws a path in a class of the style; nothing for an empty one.
func barPath(class, d string) string {
	if d == "" {
		return ""
	}
	return `<path class="` + class + `" d="` + d + `"/>`
}
