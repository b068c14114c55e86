package web

import (
	"html/template"
	"strconv"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/script"
)

const (
	barsShown = 20
	barsStep  = 5  // from bar to bar
	barsLine  = 15 // the line that they stand on, in a box of 100 by 20
)

// barsOf draws the last runs, the newest on the right: a run that went well is a
// bar upwards, as high as it took long beside the others; one that failed is
// a mark below the line, and one whose script says that something is wrong is both, so
// that nothing is told by colour alone. The label is for
// those who do not see it. Nothing for no runs.
func barsOf(history []*script.Verdict) template.HTML {
	history = history[:min(len(history), barsShown)]
	if len(history) == 0 {
		return ""
	}
	longest := time.Duration(1)
	for _, v := range history {
		if v.Result == record.OK {
			longest = max(longest, v.Duration)
		}
	}
	var ok, warn, bad strings.Builder
	failed, warned := 0, 0
	for i, v := range history { // newest first
		x := strconv.Itoa((barsShown-i)*barsStep - 2)
		if v.Result != record.OK {
			failed++
			bad.WriteString("M" + x + " " + strconv.Itoa(barsLine+1) + "v4")
			continue
		}
		height := 2 + int(float64(v.Duration)/float64(longest)*(barsLine-3))
		if troubled(v) {
			warned++
			warn.WriteString("M" + x + " " + strconv.Itoa(barsLine+3) + "v-" + strconv.Itoa(height+3))
			continue
		}
		ok.WriteString("M" + x + " " + strconv.Itoa(barsLine) + "v-" + strconv.Itoa(height))
	}
	label := "the last run: "
	if len(history) > 1 {
		label = "the last " + count(len(history), "run") + ": "
	}
	label += strconv.Itoa(len(history)-failed-warned) + " ok, " + strconv.Itoa(failed) + " failed"
	if warned > 0 {
		label += ", " + strconv.Itoa(warned) + " not OK"
	}
	return template.HTML(`<svg class="bars" viewBox="0 0 100 20" role="img" aria-label="` + label + `"><title>` + label + // #nosec G203 -- numbers and words of ours
		`</title><path class="base" d="M0 15.5h100"/>` + barPath("ok", ok.String()) + barPath("warn", warn.String()) + barPath("bad", bad.String()) + `</svg>`)
}

// barPath draws a path in a class of the style; nothing for an empty one.
func barPath(class, d string) string {
	if d == "" {
		return ""
	}
	return `<path class="` + class + `" d="` + d + `"/>`
}
