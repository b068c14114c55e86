package web

import (
	"strconv"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/script"
)

// bars draws the last runs, the newest on the right: a run that went well is a
// bar upwards, as high as it took long beside the others; one that failed is
// a mark below the line, so that nothing is told by colour alone.
type bars struct {
	Label   string // for those who do not see it; empty when there is nothing to draw
	OK, Bad string // the paths, in a box of barsWidth by barsHeight
}

const (
	barsShown = 20
	barsStep  = 5  // from bar to bar
	barsLine  = 15 // the line that they stand on; page/layout.html has the box: 100 by 20
)

func barsOf(history []*script.Verdict) bars {
	history = history[:min(len(history), barsShown)]
	if len(history) == 0 {
		return bars{}
	}
	longest := time.Duration(1)
	for _, v := range history {
		if v.Result == record.OK {
			longest = max(longest, v.Duration)
		}
	}
	var ok, bad strings.Builder
	failed := 0
	for i, v := range history { // newest first
		x := strconv.Itoa((barsShown-i)*barsStep - 2)
		if v.Result != record.OK {
			failed++
			bad.WriteString("M" + x + " " + strconv.Itoa(barsLine+1) + "v4")
			continue
		}
		height := 2 + int(float64(v.Duration)/float64(longest)*(barsLine-3))
		ok.WriteString("M" + x + " " + strconv.Itoa(barsLine) + "v-" + strconv.Itoa(height))
	}
	label := "the last run: "
	if len(history) > 1 {
		label = "the last " + count(len(history), "run") + ": "
	}
	return bars{
		Label: label + strconv.Itoa(len(history)-failed) + " ok, " + strconv.Itoa(failed) + " failed",
		OK:    ok.String(), Bad: bad.String(),
	}
}

func barsCell(history []*script.Verdict) cell {
	b := barsOf(history)
	if b.Label == "" {
		return cell{}
	}
	return cell{Bars: &b}
}
