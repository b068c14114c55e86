// Package crontab reads the schedules of cron, and says when they are due. The
// parser is robfig/cron's. It works here on the wall clock as on a clock without
// summer time, and what summer time does to a schedule is decided as Debian's cron
// does.
package crontab

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // for CRON_TZ where the system has no zones, as in an image

	"github.com/robfig/cron/v3"
)

// Schedule is one that is due at some time.
type Schedule struct {
	spec *cron.SpecSchedule // on a clock of UTC
	zone *time.Location     // nil: that of this machine
	text string
	// everyHour says that its minute or its hour begins with *: it counts minutes
	// as they pass rather than times of the day.
	everyHour bool
}

// Error is why a text is no schedule, and what to write.
type Error struct{ Problem, Remedy string }

// Error gives both in one line.
func (e *Error) Error() string { return e.Problem + " (" + e.Remedy + ")" }

// field is one of the five of a schedule.
type field struct{ name, values string }

var fields = [...]field{
	{"minute", "0 to 59"}, {"hour", "0 to 23"}, {"day", "1 to 31"}, {"month", "1 to 12, or jan to dec"}, {"weekday", "0 (Sunday) to 7, or sun to sat"},
}

// words are the schedules that have names.
var words = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Parse reads a schedule: five fields or a word such as @daily, behind CRON_TZ= and
// a time zone if it is not that of this machine. The error is an *Error.
func Parse(text string) (*Schedule, error) {
	s := &Schedule{text: strings.Join(strings.Fields(text), " ")}
	rest := s.text
	if name, after, ok := zoneOf(rest); ok {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "" {
			return nil, &Error{fmt.Sprintf("%q: there is no time zone %q", text, name), "write one such as CRON_TZ=Europe/Brussels"}
		}
		s.zone, rest = zone, after
	}
	if strings.HasPrefix(rest, "@") {
		known, ok := words[strings.ToLower(rest)]
		if !ok {
			return nil, &Error{fmt.Sprintf("%q is no schedule", text), wordRemedy(rest)}
		}
		rest = known
	}
	parts := strings.Fields(rest)
	if len(parts) != len(fields) {
		remedy := "write five: minute hour day month weekday, as in '*/5 * * * *'"
		if len(parts) == len(fields)+1 {
			remedy += "; there are no seconds"
		}
		return nil, &Error{fmt.Sprintf("%q has %d of the fields of a schedule", text, len(parts)), remedy}
	}
	parts[4] = withoutSeven(parts[4])
	for i, part := range parts {
		if strings.HasPrefix(part, "?") { // another way to write *
			parts[i] = "*" + part[1:]
		}
		alone := slices.Repeat([]string{"*"}, len(fields))
		alone[i] = part
		if _, err := parse(alone); err != nil || slices.Contains(strings.Split(part, ","), "") {
			return nil, &Error{
				fmt.Sprintf("%q: the %s %q is not understood", text, fields[i].name, strings.Fields(rest)[i]),
				fmt.Sprintf("it is * or %s, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these", fields[i].values),
			}
		}
	}
	spec, err := parse(parts)
	if err != nil { // its fields were good
		return nil, &Error{fmt.Sprintf("%q: %v", text, err), "write it as in a crontab"}
	}
	s.spec, s.everyHour = spec, strings.HasPrefix(parts[0], "*") || strings.HasPrefix(parts[1], "*")
	if strings.HasPrefix(parts[2], "*") {
		spec.Dom |= star
	}
	if strings.HasPrefix(parts[4], "*") {
		spec.Dow |= star
	}
	if s.after(time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)).IsZero() {
		return nil, &Error{fmt.Sprintf("%q is never due: no such month has such a day", text), "correct the day or the month"}
	}
	return s, nil
}

// star is the parser's mark of a day or a weekday that is *: the other one then decides.
// To cron such is each that begins with *, steps or not; to the parser, only one
// without steps.
const star = 1 << 63

func parse(parts []string) (*cron.SpecSchedule, error) {
	p := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	parsed, err := p.Parse("TZ=UTC " + strings.Join(parts, " "))
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("it is a %T", parsed)
	}
	return spec, nil
}

// zoneOf cuts the time zone off the front of a schedule.
func zoneOf(text string) (name, rest string, ok bool) {
	first, rest, _ := strings.Cut(text, " ")
	for _, prefix := range []string{"CRON_TZ=", "TZ="} {
		if name, ok := strings.CutPrefix(first, prefix); ok {
			return strings.Trim(name, `"'`), rest, true
		}
	}
	return "", text, false
}

// wordRemedy says what to write in the place of a word that begins with @.
func wordRemedy(word string) string {
	name, every, _ := strings.Cut(word, " ")
	switch strings.ToLower(name) {
	case "@every":
		return "write interval: " + cmp.Or(every, "5m") + " in the place of cron:"
	case "@reboot":
		return "leave it out: a script with an interval: runs once when the bridge starts"
	}
	return "write five fields, or @hourly, @daily, @weekly, @monthly or @yearly"
}

var numbers = regexp.MustCompile(`^(\d{1,2})(?:-(\d{1,2}))?(?:/(\d{1,2}))?$`)

// withoutSeven writes the Sundays of a weekday as 0, where it has them as 7.
func withoutSeven(weekday string) string {
	parts := strings.Split(weekday, ",")
	for i, part := range parts {
		m := numbers.FindStringSubmatch(part)
		if m == nil || m[1] != "7" && m[2] != "7" {
			continue
		}
		from, _ := strconv.Atoi(m[1])
		step, err := strconv.Atoi(cmp.Or(m[3], "1"))
		if err != nil || step == 0 || m[2] != "" && m[2] != "7" {
			continue // the parser says what is wrong
		}
		var days []string
		for day := from; day <= 7; day += step {
			days = append(days, strconv.Itoa(day%7))
		}
		parts[i] = strings.Join(days, ",")
	}
	return strings.Join(parts, ",")
}

// String is the schedule as it was written.
func (s *Schedule) String() string { return s.text }

// Next gives the first time after t at which it is due.
//
// Where the clock is set forward, a time of the day that is skipped is due as much
// later; where it is set back, a time of the day that comes twice is due the first
// time. A schedule whose minute or hour begins with * is due whenever the clock
// shows it: not in the hour that is skipped, and in both of the doubled one.
func (s *Schedule) Next(t time.Time) time.Time {
	t = t.In(cmp.Or(s.zone, time.Local))
	if s.everyHour {
		return s.nextShown(t)
	}
	// Of what a change has moved, some may still be to come.
	const longestChange = 3 * time.Hour
	for wall := wallOf(t).Add(-longestChange); ; {
		wall = s.after(wall)
		if at := firstAt(wall, t.Location()); at.After(t) {
			return at
		}
	}
}

// nextShown is Next by what the clock shows, one stretch between two changes of it
// after the other.
func (s *Schedule) nextShown(t time.Time) time.Time {
	for {
		_, offset := t.Zone()
		at := s.after(wallOf(t)).Add(-time.Duration(offset) * time.Second).In(t.Location())
		_, change := t.ZoneBounds()
		if change.IsZero() || at.Before(change) {
			return at
		}
		change = change.In(t.Location())
		if wall := wallOf(change); s.after(wall.Add(-time.Second)).Equal(wall) {
			return change
		}
		t = change
	}
}

// after gives the next time on a clock without changes; zero for never.
func (s *Schedule) after(wall time.Time) (next time.Time) {
	const rarest = 40 // years, of a 29th of February that is a Sunday
	for years := 0; years <= rarest && next.IsZero(); years += 4 {
		next = s.spec.Next(wall.AddDate(years, 0, 0)) // it looks five years ahead
	}
	return next
}

// wallOf is what the clock shows at t, as a time of a clock without changes.
func wallOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.Add(time.Duration(offset) * time.Second).UTC()
}

// firstAt is when a clock first shows a time; one that it skips is as late as if it
// had not been set forward.
func firstAt(wall time.Time, zone *time.Location) time.Time {
	const day = 24 * time.Hour // there are no two changes in a day
	_, before := wall.Add(-day).In(zone).Zone()
	_, after := wall.Add(day).In(zone).Zone()
	early := wall.Add(-time.Duration(before) * time.Second).In(zone)
	late := wall.Add(-time.Duration(after) * time.Second).In(zone)
	if !wallOf(early).Equal(wall) && wallOf(late).Equal(wall) {
		return late
	}
	return early
}

// Shortest gives the shortest time between two of the next times after t.
func (s *Schedule) Shortest(t time.Time) time.Duration {
	const looked = 100
	at := s.Next(t)
	var shortest time.Duration
	for range looked {
		next := s.Next(at)
		if gap := next.Sub(at); shortest == 0 || gap < shortest {
			shortest = gap
		}
		at = next
	}
	return shortest
}
