package texts

import (
	"strconv"
	"strings"
	"time"
)

// Span gives a configured duration exactly: "60 s", "5 min", "1 h 30 min".
func Span(d time.Duration) string {
	if d < time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'g', -1, 64) + " s"
	}
	var parts []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, " d"}, {time.Hour, " h"}, {time.Minute, " min"}} {
		if d >= u.size {
			parts = append(parts, strconv.Itoa(int(d/u.size))+u.name)
			d %= u.size
		}
	}
	if d > 0 {
		parts = append(parts, strconv.FormatFloat(d.Seconds(), 'g', -1, 64)+" s")
	}
	return strings.Join(parts, " ")
}
