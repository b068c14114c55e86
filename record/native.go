package record

import "strconv"

// Native is what a metric was to the program in whose place its source stands,
// where that differs from what the page makes of it. An upload that continues a
// history which that program began goes by it.
type Native struct {
	// Program is the one in whose place the source stands, such as StatsD.
	Program string
	// Name is what the program called the metric; it may have dots.
	Name string
	// Unit is that of what is Observed, where it differs from Meta.Unit: ms for
	// what the page has in seconds. Empty: it is the same.
	Unit string
	// Mapped are the names of the labels that were made of Name, ascending:
	// whoever goes by Name has what they say already.
	Mapped []string
}

// Milliseconds is the Unit of a Native that is shown in seconds.
const Milliseconds = "ms"

// ToMilliseconds gives the milliseconds that a number of seconds was made of:
// 1001 and not 1000.9999999999999.
func ToMilliseconds(seconds float64) float64 {
	v := seconds * 1000
	if short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64); err == nil {
		return short
	}
	return v
}
