package takeover

import (
	"strings"
	"testing"
	"time"
)

func TestIntervalOf(t *testing.T) {
	for schedule, want := range map[string]time.Duration{
		"* * * * *":           time.Minute,
		"*/1 * * * *":         time.Minute,
		"*/5 * * * *":         5 * time.Minute,
		"3-59/5 * * * *":      5 * time.Minute,
		"2/10 * * * *":        10 * time.Minute,
		"0,15,30,45 * * * *":  15 * time.Minute,
		"10,40 * * * *":       30 * time.Minute,
		"0,30 */1 * * *":      30 * time.Minute,
		"7 * * * *":           time.Hour,
		"7 */2 * * *":         2 * time.Hour,
		"0 0,12 * * *":        12 * time.Hour,
		"0 3 * * *":           24 * time.Hour,
		"0 3 */1 */1 */1":     24 * time.Hour,
		"0 3 * * 0":           7 * 24 * time.Hour,
		"0 3 * * 7":           7 * 24 * time.Hour,
		"0 3 * * Mon":         7 * 24 * time.Hour,
		"@hourly":             time.Hour,
		"@daily":              24 * time.Hour,
		"@midnight":           24 * time.Hour,
		"@weekly":             7 * 24 * time.Hour,
		"@reboot":             0,
		"@monthly":            0,
		"*/7 * * * *":         0,
		"0,10 * * * *":        0,
		"0 8-18 * * *":        0,
		"*/5 8-18 * * *":      0,
		"*/5 * * * 1-5":       0,
		"0 */5 * * *":         0,
		"0 3 1 * *":           0,
		"0 3 * 1 *":           0,
		"0 3 * * 1,4":         0,
		"61 * * * *":          0,
		"x * * * *":           0,
		"*/0 * * * *":         0,
		"5-1 * * * *":         0,
		"0 * *":               0,
		"99999999999 * * * *": 0,
	} {
		if got, _ := intervalOf(strings.Fields(schedule)); got != want {
			t.Errorf("%s: %s, not %s", schedule, got, want)
		}
	}
}
