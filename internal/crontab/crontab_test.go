package crontab

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// due gives the next times of a schedule.
func due(t *testing.T, text, from string, n int) (times []string) {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		at = s.Next(at)
		times = append(times, at.Format("Mon 2006-01-02 15:04 MST"))
	}
	return times
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		text, from string
		want       []string
	}{
		{"TZ=UTC */20 * * * *", "2026-11-26T10:00:00Z", []string{"Thu 2026-11-26 10:20 UTC", "Thu 2026-11-26 10:40 UTC", "Thu 2026-11-26 11:00 UTC"}},
		{"TZ=UTC */20 * * * *", "2026-11-26T10:19:59.999Z", []string{"Thu 2026-11-26 10:20 UTC"}},
		{"TZ=UTC @hourly", "2026-11-26T10:00:01Z", []string{"Thu 2026-11-26 11:00 UTC"}},
		{"TZ=UTC @daily", "2026-11-26T10:00:01Z", []string{"Fri 2026-11-27 00:00 UTC"}},
		{"TZ=UTC @weekly", "2026-11-26T10:00:01Z", []string{"Sun 2026-11-29 00:00 UTC"}},
		{"TZ=UTC @Monthly", "2026-11-26T10:00:01Z", []string{"Tue 2026-12-01 00:00 UTC"}},
		{"TZ=UTC @yearly", "2026-11-26T10:00:01Z", []string{"Fri 2027-01-01 00:00 UTC"}},
		{"CRON_TZ=Europe/Brussels  0  6 * * MON-FRI", "2026-11-27T12:00:00Z", []string{"Mon 2026-11-30 06:00 CET", "Tue 2026-12-01 06:00 CET"}},
		// Sunday is 0 and 7.
		{"TZ=UTC 0 0 * * 7", "2026-11-26T00:00:00Z", []string{"Sun 2026-11-29 00:00 UTC"}},
		{"TZ=UTC 0 0 * * 6-7", "2026-11-26T00:00:00Z", []string{"Sat 2026-11-28 00:00 UTC", "Sun 2026-11-29 00:00 UTC", "Sat 2026-12-05 00:00 UTC"}},
		{"TZ=UTC 0 0 * * 3-7/2,6", "2026-11-26T00:00:00Z", []string{"Fri 2026-11-27 00:00 UTC", "Sat 2026-11-28 00:00 UTC", "Sun 2026-11-29 00:00 UTC", "Wed 2026-12-02 00:00 UTC"}},
		// A day of the month or one of the week, where both are given.
		{"TZ=UTC 0 0 1 * 5", "2026-11-26T00:00:00Z", []string{"Fri 2026-11-27 00:00 UTC", "Tue 2026-12-01 00:00 UTC"}},
		// Where one of the two begins with *, both: as in cron, steps or not.
		{"TZ=UTC 0 0 */2 * mon", "2026-11-26T00:00:00Z", []string{"Mon 2026-12-07 00:00 UTC", "Mon 2026-12-21 00:00 UTC", "Mon 2027-01-11 00:00 UTC"}},
		{"TZ=UTC 0 0 1-7 * */7", "2026-11-26T00:00:00Z", []string{"Sun 2026-12-06 00:00 UTC", "Sun 2027-01-03 00:00 UTC"}},
		{"TZ=UTC 0 0 ?/2 * mon", "2026-11-26T00:00:00Z", []string{"Mon 2026-12-07 00:00 UTC", "Mon 2026-12-21 00:00 UTC"}},
		{"TZ=UTC 0 0 29 2 */7", "2026-11-26T00:00:00Z", []string{"Sun 2032-02-29 00:00 UTC", "Sun 2060-02-29 00:00 UTC", "Sun 2088-02-29 00:00 UTC", "Sun 2128-02-29 00:00 UTC"}},
		{"TZ=UTC 0 0 29 2 *", "2026-01-01T00:00:00Z", []string{"Tue 2028-02-29 00:00 UTC"}},
		{"TZ=UTC 0 0 29 2 *", "2096-03-01T00:00:00Z", []string{"Fri 2104-02-29 00:00 UTC"}},

		// 02:30 is not there on 2026-03-29, and is there twice on 2026-10-25.
		{"TZ=Europe/Berlin 30 2 * * *", "2026-03-28T00:00:00Z", []string{"Sat 2026-03-28 02:30 CET", "Sun 2026-03-29 03:30 CEST", "Mon 2026-03-30 02:30 CEST"}},
		{"TZ=Europe/Berlin 30 2 * * *", "2026-03-29T01:10:00Z", []string{"Sun 2026-03-29 03:30 CEST", "Mon 2026-03-30 02:30 CEST"}},
		{"TZ=Europe/Berlin 30 2,3 * * *", "2026-03-28T12:00:00Z", []string{"Sun 2026-03-29 03:30 CEST", "Mon 2026-03-30 02:30 CEST", "Mon 2026-03-30 03:30 CEST"}},
		{"TZ=Europe/Berlin 30 2 * * *", "2026-10-24T12:00:00Z", []string{"Sun 2026-10-25 02:30 CEST", "Mon 2026-10-26 02:30 CET"}},
		{"TZ=Europe/Berlin 30 2 * * *", "2026-10-25T01:10:00Z", []string{"Mon 2026-10-26 02:30 CET"}},
		{"TZ=Europe/Berlin 0 3 * * *", "2026-10-25T00:10:00Z", []string{"Sun 2026-10-25 03:00 CET"}},
		{"TZ=Europe/Berlin 30 * * * *", "2026-03-29T00:00:00Z", []string{"Sun 2026-03-29 01:30 CET", "Sun 2026-03-29 03:30 CEST", "Sun 2026-03-29 04:30 CEST"}},
		{"TZ=Europe/Berlin 0 * * * *", "2026-03-29T00:10:00Z", []string{"Sun 2026-03-29 03:00 CEST", "Sun 2026-03-29 04:00 CEST"}},
		{"TZ=Europe/Berlin 30 * * * *", "2026-10-25T00:00:00Z", []string{"Sun 2026-10-25 02:30 CEST", "Sun 2026-10-25 02:30 CET", "Sun 2026-10-25 03:30 CET"}},
		{"TZ=Europe/Berlin */30 2 * * *", "2026-03-28T12:00:00Z", []string{"Mon 2026-03-30 02:00 CEST"}},
		{"TZ=Europe/Berlin ?/30 2 * * *", "2026-03-28T12:00:00Z", []string{"Mon 2026-03-30 02:00 CEST"}},
		{"TZ=Europe/Berlin */30 2 * * *", "2026-10-25T00:10:00Z", []string{"Sun 2026-10-25 02:30 CEST", "Sun 2026-10-25 02:00 CET", "Sun 2026-10-25 02:30 CET", "Mon 2026-10-26 02:00 CET"}},
		// A midnight that is not there costs its day nothing.
		{"TZ=America/Sao_Paulo 0 0 * * *", "2018-11-03T12:00:00Z", []string{"Sun 2018-11-04 01:00 -02", "Mon 2018-11-05 00:00 -02"}},
		{"TZ=America/Sao_Paulo 0 12 4 11 *", "2018-11-01T12:00:00Z", []string{"Sun 2018-11-04 12:00 -02"}},
		// A change by half an hour.
		{"TZ=Australia/Lord_Howe 15 2 * * *", "2026-10-03T00:00:00Z", []string{"Sun 2026-10-04 02:45 +11", "Mon 2026-10-05 02:15 +11"}},
		{"TZ=Australia/Lord_Howe */15 * * * *", "2026-10-03T15:00:00Z", []string{"Sun 2026-10-04 01:45 +1030", "Sun 2026-10-04 02:30 +11", "Sun 2026-10-04 02:45 +11"}},
	} {
		if got := due(t, c.text, c.from, len(c.want)); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s after %s: %q\nwant %q", c.text, c.from, got, c.want)
		}
	}
}

// What counts minutes is due at each minute of the year that the clock shows as
// the schedule says, and at no other.
func TestNextShown(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse("TZ=" + zone + " */7 1-3 * * *")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Date(2026, 1, 1, 0, 0, 0, 0, loc)
		next := s.Next(begin.Add(-time.Second))
		for at := begin; at.Year() == 2026; at = at.Add(time.Minute) {
			want := at.Minute()%7 == 0 && at.Hour() >= 1 && at.Hour() <= 3
			if got := at.Equal(next); got != want {
				t.Fatalf("%s: at %s it is due: %t; the next time is %s", zone, at, got, next)
			} else if got {
				next = s.Next(next)
			}
		}
	}
}

// The schedule of a time of the day is due once a day, whatever the clock does.
func TestNextOnceADay(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo"} {
		for minute := 0; minute < 24*60; minute += 5 {
			s, err := Parse(fmt.Sprintf("TZ=%s %d %d * * *", zone, minute%60, minute/60))
			if err != nil {
				t.Fatal(err)
			}
			at := s.Next(time.Date(2018, 1, 1, 0, 0, 0, 0, s.zone).Add(-time.Second))
			days := 0
			for at.Year() == 2018 {
				days++
				next := s.Next(at)
				if gap := next.Sub(at); gap < 22*time.Hour || gap > 26*time.Hour {
					t.Fatalf("%s: from %s to %s", s, at, next)
				}
				at = next
			}
			if days != 365 {
				t.Errorf("%s: %d days", s, days)
			}
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                          `"" has 0 of the fields of a schedule (write five: minute hour day month weekday, as in '*/5 * * * *')`,
		"5":                         `"5" has 1 of the fields of a schedule (write five: minute hour day month weekday, as in '*/5 * * * *')`,
		"0 */5 * * * *":             `"0 */5 * * * *" has 6 of the fields of a schedule (write five: minute hour day month weekday, as in '*/5 * * * *'; there are no seconds)`,
		"60 * * * *":                `"60 * * * *": the minute "60" is not understood (it is * or 0 to 59, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 24 * * *":                `"0 24 * * *": the hour "24" is not understood (it is * or 0 to 23, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 0 L * *":                 `"0 0 L * *": the day "L" is not understood (it is * or 1 to 31, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 0 1 13 *":                `"0 0 1 13 *": the month "13" is not understood (it is * or 1 to 12, or jan to dec, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 0 * * 5-8":               `"0 0 * * 5-8": the weekday "5-8" is not understood (it is * or 0 (Sunday) to 7, or sun to sat, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 0 * * 7/0":               `"0 0 * * 7/0": the weekday "7/0" is not understood (it is * or 0 (Sunday) to 7, or sun to sat, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 0 1,,2 * *":              `"0 0 1,,2 * *": the day "1,,2" is not understood (it is * or 1 to 31, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 0 , * *":                 `"0 0 , * *": the day "," is not understood (it is * or 1 to 31, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0,15, * * * *":             `"0,15, * * * *": the minute "0,15," is not understood (it is * or 0 to 59, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 ,1 * * *":                `"0 ,1 * * *": the hour ",1" is not understood (it is * or 0 to 23, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
		"0 0 31 2 *":                `"0 0 31 2 *" is never due: no such month has such a day (correct the day or the month)`,
		"0 0 31 2,4,6,9,11 *":       `"0 0 31 2,4,6,9,11 *" is never due: no such month has such a day (correct the day or the month)`,
		"@every 90s":                `"@every 90s" is no schedule (write interval: 90s in the place of cron:)`,
		"@every":                    `"@every" is no schedule (write interval: 5m in the place of cron:)`,
		"@reboot":                   `"@reboot" is no schedule (leave it out: a script with an interval: runs once when the bridge starts)`,
		"@nightly":                  `"@nightly" is no schedule (write five fields, or @hourly, @daily, @weekly, @monthly or @yearly)`,
		"TZ=UTC":                    `"TZ=UTC" has 0 of the fields of a schedule (write five: minute hour day month weekday, as in '*/5 * * * *')`,
		"CRON_TZ=Mars/X 0 0 * * *":  `"CRON_TZ=Mars/X 0 0 * * *": there is no time zone "Mars/X" (write one such as CRON_TZ=Europe/Brussels)`,
		"TZ= 0 0 * * *":             `"TZ= 0 0 * * *": there is no time zone "" (write one such as CRON_TZ=Europe/Brussels)`,
		"TZ=../../etc/x 0 0 * * *":  `"TZ=../../etc/x 0 0 * * *": there is no time zone "../../etc/x" (write one such as CRON_TZ=Europe/Brussels)`,
		"CRON_TZ=UTC @every 5m":     `"CRON_TZ=UTC @every 5m" is no schedule (write interval: 5m in the place of cron:)`,
		"0 0 * * 99999999999999999": `"0 0 * * 99999999999999999": the weekday "99999999999999999" is not understood (it is * or 0 (Sunday) to 7, or sun to sat, a range such as 1-5, with a step such as */5 or 1-5/2, or a list of these)`,
	} {
		s, err := Parse(text)
		if e := (*Error)(nil); err == nil || !errors.As(err, &e) || err.Error() != want {
			t.Errorf("%s: %v, %v\nwant %s", text, s, err, want)
		}
	}
}

func TestShortest(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"TZ=UTC 0,10,59 8 * * *": 10 * time.Minute, "TZ=UTC 59 23 * * 1": 7 * 24 * time.Hour, "TZ=UTC * * * * *": time.Minute} {
		s, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Shortest(now); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"*/5 * * * *", "@daily", "TZ=UTC 0 0 29 2 *", "0 0 * * 5-7/2,0", "CRON_TZ=Europe/Berlin 30 2 ? * *", "@every 1s", "TZ=", "0-59/7 1 1 1 sun"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
		for range 20 {
			next := s.Next(at)
			if !next.After(at) || next.Second() != 0 && s.zone == time.UTC {
				t.Fatalf("%q: after %s comes %s", text, at, next)
			}
			at = next
		}
	})
}
