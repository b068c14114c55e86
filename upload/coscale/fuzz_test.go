package coscale

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/record"
)

// formerValues are as versions wrote them that knew no observations.
func formerValues() *values {
	return &values{
		facts: []fact{
			{name: "Traffic", suffix: " - Custom", unit: "b/s", help: "what goes by", dataType: "DOUBLE", groups: "a/b", tags: "IO", period: 60},
			{name: "Load", dataType: "DOUBLE", period: 300, aggregation: mean},
		},
		values: []value{
			{fact: 0, labels: []record.Label{{Name: "interface", Value: "eth0"}}, time: 1700000000, value: 1.5},
			{fact: 1, subject: record.Subject{Kind: record.Server, Name: "db-1"}, time: -1, value: -2},
			{fact: 0, subject: record.Subject{Kind: record.Application}, time: 1 << 40, value: 1e300},
		},
	}
}

func exampleValues() *values {
	v := formerValues()
	v.facts = append(v.facts, fact{name: "StatsD load", dataType: "HISTOGRAM", groups: "StatsD", period: 60, aggregation: histogramMilli})
	v.values = append(v.values, value{fact: 2, time: 1700000001, observed: []observation{{0.32, 1}, {-1e300, 1 / 0.3}, {5, 1e7}}})
	return v
}

var compareEntries = cmp.AllowUnexported(values{}, fact{}, value{}, observation{})

// FuzzEntry holds the reading of entries to this: garbage never panics, and
// what can be read says the same after it was written again.
func FuzzEntry(f *testing.F) {
	f.Add(exampleValues().encode())
	f.Add(formerValues().encode())
	f.Add((&values{}).encode())
	e, err := (&event{Key: "event/1/2", Hash: "h", Category: "Backup", Message: "m", Start: 1, Attributes: []record.Label{{Name: "a", Value: "b"}}}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e)
	f.Add([]byte("v\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 {
			return
		}
		if text[0] == eventEntry {
			if e, err := decodeEvent(text[1:]); err == nil && e.Key == "" {
				t.Error("an event without a key was read")
			}
			return
		}
		v, err := readValues(text[1:], false)
		if err != nil {
			return
		}
		again, err := readValues(v.encode()[1:], false)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, again, compareEntries); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEntry(t *testing.T) {
	v := exampleValues()
	got, err := readValues(v.encode()[1:], false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, got, compareEntries); diff != "" {
		t.Error(diff)
	}
	text := v.encode()
	for n := 1; n < len(text); n++ {
		if _, err := readValues(text[1:n], false); err == nil {
			t.Errorf("%d bytes of %d were read", n, len(text))
		}
	}
}
