package takeover

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// cronWords are the schedules that have names.
var cronWords = map[string]time.Duration{
	"@hourly": time.Hour, "@daily": day, "@midnight": day, "@weekly": 7 * day,
}

// intervalOf gives the interval of a schedule of cron; 0 where it is not regular.
// odd says that more is lost than the minute at which it runs: a job once a day
// runs at some time of the day.
func intervalOf(schedule []string) (interval time.Duration, odd bool) {
	if len(schedule) == 1 {
		d := cronWords[schedule[0]]
		return d, d >= day
	}
	if len(schedule) != 5 {
		return 0, true
	}
	for i, field := range schedule {
		if field == "*/1" {
			schedule = slices.Replace(slices.Clone(schedule), i, i+1, "*")
		}
	}
	minute, hour, dayOfMonth, month, weekday := schedule[0], schedule[1], schedule[2], schedule[3], schedule[4]
	if month != "*" {
		return 0, true
	}
	minutes, hours, days := step(minute, 60), step(hour, 24), step(weekday, 7)
	once := days == 7 && dayOfMonth == "*" // a week
	always := weekday == "*" && dayOfMonth == "*"
	switch {
	case minutes == 0 || hours == 0 || !always && !once:
		return 0, true
	case minutes < 60: // several times an hour
		if hours != 1 || !always {
			return 0, true
		}
		return time.Duration(minutes) * time.Minute, false
	case hours < 24:
		if !always {
			return 0, true
		}
		return time.Duration(hours) * time.Hour, false
	case once && weekday != "*":
		return 7 * day, true
	}
	return day, true
}

// step gives the distance between the values of a field, which counts up to size;
// size where it has one value, and 0 where the distances differ.
func step(field string, size int) int {
	if field == "*" {
		return 1
	}
	values := valuesOf(field, size)
	switch len(values) {
	case 0:
		return 0
	case 1:
		return size
	}
	distance := values[1] - values[0]
	for i, v := range values {
		next := values[0] + size
		if i+1 < len(values) {
			next = values[i+1]
		}
		if next-v != distance {
			return 0
		}
	}
	return distance
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// valuesOf gives the values of a field, sorted; none where it cannot be read.
func valuesOf(field string, size int) (values []int) {
	for part := range strings.SplitSeq(field, ",") {
		part, every, stepped := strings.Cut(part, "/")
		by := 1
		if stepped {
			var err error
			if by, err = strconv.Atoi(every); err != nil || by < 1 {
				return nil
			}
		}
		from, to := 0, size-1
		if part != "*" {
			first, last, isRange := strings.Cut(part, "-")
			var ok bool
			if from, ok = valueOf(first, size); !ok {
				return nil
			}
			switch {
			case isRange:
				if to, ok = valueOf(last, size); !ok {
					return nil
				}
			case !stepped:
				to = from
			}
		}
		for v := from; v <= to; v += by {
			if !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
	}
	slices.Sort(values)
	return values
}

// valueOf reads one value: a number, or the name of a day.
func valueOf(text string, size int) (int, bool) {
	if n := slices.Index(weekdays, strings.ToLower(text)); n >= 0 && size == 7 {
		return n, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= size && !(size == 7 && n == 7) {
		return 0, false
	}
	if size == 7 {
		n %= 7
	}
	return n, true
}
