package record

import (
	"fmt"
	"slices"
	"testing"
)

func TestLatest(t *testing.T) {
	events := func(ids ...string) (all []Event) {
		for i, id := range ids {
			all = append(all, Event{ID: id, Line: i + 1})
		}
		return all
	}
	texts := func(all []Event) (texts []string) {
		for _, e := range all {
			texts = append(texts, fmt.Sprintf("%s%d", e.ID, e.Line))
		}
		return texts
	}
	for _, c := range []struct {
		have, come []Event
		most       int
		want       []string
	}{
		{nil, nil, 3, nil},
		{events("a", "b"), nil, 3, []string{"a1", "b2"}},
		{nil, events("a", "b"), 3, []string{"b2", "a1"}},
		{events("a", "b"), events("c", "d"), 3, []string{"d2", "c1", "a1"}},
		{events("a", "b", "c"), events("b"), 3, []string{"b1", "a1", "c3"}},
		{events("a", "b"), events("c", "c", "c", "d", "c"), 3, []string{"c5", "d4", "a1"}},
		{events("a", "b"), events("c", "d", "e", "f"), 3, []string{"f4", "e3", "d2"}},
	} {
		if got := texts(Latest(c.have, c.come, c.most)); !slices.Equal(got, c.want) {
			t.Errorf("Latest(%v, %v, %d) = %v, not %v", texts(c.have), texts(c.come), c.most, got, c.want)
		}
	}

	// What is kept shares nothing with the batch.
	come := []Event{{ID: "a", Attributes: []Label{{Name: "n", Value: "v"}}}}
	kept := Latest(nil, come, 1)
	come[0].Attributes[0].Value = "changed"
	if got := kept[0].Attributes[0].Value; got != "v" {
		t.Errorf("an attribute that was kept became %q", got)
	}
}

// A flood of events costs no more memory than the few that are kept.
func TestLatestOfMany(t *testing.T) {
	cost := func(n int) float64 {
		come := make([]Event, n)
		for i := range come {
			come[i] = Event{ID: fmt.Sprint(i), Attributes: []Label{{Name: "n", Value: "v"}}}
		}
		have := Latest(nil, come, 100)
		return testing.AllocsPerRun(10, func() { Latest(have, come, 100) })
	}
	if few, many := cost(200), cost(20_000); many > few {
		t.Errorf("20000 events cost %v allocations, 200 cost %v", many, few)
	}
}
