package collector

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"scriptbridge/record"
)

// TestLayout lets many sources come and go, grow and shrink, so that chunks are
// cut, joined, filled and emptied, and wants what is served from the chunks to
// be what all blocks in a row are.
func TestLayout(t *testing.T) {
	c := New(Options{})
	dice := rand.New(rand.NewPCG(1, 2))
	var sources []*record.Source
	for i := range 40 {
		sources = append(sources, script(fmt.Sprint("s", i), i))
	}
	chunks := 0
	for range 80 {
		i := dice.IntN(len(sources))
		var samples []record.Sample
		for range dice.IntN(4) * dice.IntN(300) {
			samples = append(samples, set(gaugeMeta, fmt.Sprint("m", dice.IntN(2000)), float64(dice.IntN(10)), "l", fmt.Sprint(dice.IntN(100))))
		}
		b := whole(sources[i], samples...)
		b.Gone = dice.IntN(10) == 0
		if dice.IntN(10) == 0 {
			moved := *sources[i]
			moved.Rank = dice.IntN(40)
			sources[i], b.Source = &moved, &moved
		}
		_ = c.Put(b)
		checkLayout(t, c)
		chunks = max(chunks, len(c.layout.chunks))
		for range dice.IntN(6) { // the formats share what they keep
			f := accepted[dice.IntN(2)]
			var page bytes.Buffer
			if err := c.WritePage(&page, f, nil); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(page.Bytes(), get(t, c, f, dice.IntN(2) == 0)) {
				t.Fatal("what is served is not the page")
			}
			parsePage(t, page.Bytes(), f)
		}
	}
	if chunks < 5 {
		t.Errorf("only %d chunks, which is no test", chunks)
	}
	for _, s := range sources {
		_ = c.Put(&record.Batch{Source: s, Gone: true})
	}
	if len(c.layout.chunks)+c.families.Len()+len(c.sources) != 0 {
		t.Error("something is left of nothing")
	}
}

// checkLayout checks the order of the blocks, and that they know their chunk.
func checkLayout(t *testing.T, c *Collector) {
	t.Helper()
	var last *block
	for _, ch := range c.layout.chunks {
		if len(ch.blocks) == 0 || len(ch.blocks) > maxBlocks {
			t.Fatalf("a chunk of %d blocks", len(ch.blocks))
		}
		for _, b := range ch.blocks {
			shown := len(b.series) > 0 || b.health != nil && slices.ContainsFunc(b.health.sources, func(s *source) bool { return s.has(b.healthFamily()) })
			if b.chunk != ch || last != nil && last.compare(b) >= 0 || !shown {
				t.Fatalf("%s of %s is out of place", b.family.name, b.first().def.Name)
			}
			last = b
		}
	}
	checkGroups(t, c)
}

// checkGroups checks that each source is in one group of its kind, in the order of the page.
func checkGroups(t *testing.T, c *Collector) {
	t.Helper()
	n := 0
	for _, groups := range c.groups {
		var last *source
		for _, g := range groups {
			if len(g.sources) == 0 || len(g.sources) > maxGroup {
				t.Fatalf("a group of %d sources", len(g.sources))
			}
			for _, s := range g.sources {
				if s.group != g || last != nil && last.compare(s) >= 0 || c.sources[sourceKey{s.def.Kind, s.def.Name}] != s {
					t.Fatalf("%s is out of place", s.def.Name)
				}
				last = s
				n++
			}
		}
	}
	if n != len(c.sources) {
		t.Fatalf("%d of %d sources are in a group", n, len(c.sources))
	}
}

// TestOnlyChangesAreRendered: a chunk without a change keeps its bytes.
func TestOnlyChangesAreRendered(t *testing.T) {
	c, batches := load{scripts: 20, metrics: 10, dims: 50}.fill(nil)
	before := c.layout.page(variant{}).pieces
	if len(before) < 5 {
		t.Fatalf("only %d chunks", len(before))
	}
	batches[3].Samples[0].Value++
	_ = c.Put(batches[3])
	after := c.layout.page(variant{}).pieces
	kept := 0
	for i := range before {
		if i < len(after) && &before[i][0] == &after[i][0] {
			kept++
		}
	}
	if kept < len(before)/2 || kept == len(before) {
		t.Errorf("%d of %d chunks are kept", kept, len(before))
	}
}

func TestCRC(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		text := make([]byte, dice.IntN(5000))
		for i := range text {
			text[i] = byte(dice.Uint32())
		}
		at := dice.IntN(len(text) + 1)
		a, b := text[:at], text[at:]
		if got := crcMultiply(crcPower(len(b)), crc32.ChecksumIEEE(a)) ^ crc32.ChecksumIEEE(b); got != crc32.ChecksumIEEE(text) {
			t.Fatalf("%d and %d bytes: %08x, want %08x", len(a), len(b), got, crc32.ChecksumIEEE(text))
		}
	}
}

func TestAppendValue(t *testing.T) {
	for _, tt := range []struct {
		value float64
		want  string
	}{
		{0, "0"}, {-1, "-1"}, {123456789012345, "123456789012345"}, {1e15, "1e+15"}, {0.1, "0.1"}, {-2.5e-300, "-2.5e-300"},
		{math.NaN(), "NaN"}, {math.Inf(1), "+Inf"}, {math.Inf(-1), "-Inf"}, {math.MaxFloat64, "1.7976931348623157e+308"},
	} {
		if got := string(appendValue(nil, tt.value)); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.value, got, tt.want)
		}
	}
	if got := string(appendStamp(nil, 1769012345005, openMetrics)); got != "1769012345.005" {
		t.Error(got)
	}
}

// TestPagesAreKeptOnce: what is kept of pages that were served in both formats, plain and
// gzipped, is a part of one of them, and the formats share it where their text is the same.
func TestPagesAreKeptOnce(t *testing.T) {
	for _, c := range []struct {
		load
		most int // percent
	}{{load{scripts: 2, metrics: 2, dims: 3000}, 25}, {load{scripts: 10, metrics: 200, dims: 1}, 60}} {
		kept, size := make(map[*byte]int), 0
		collector, _ := c.fill(nil)
		for f := range formats {
			for _, gzip := range []bool{false, true} {
				page := collector.layout.page(variant{f, gzip})
				for _, piece := range page.pieces {
					kept[&piece[0]] = len(piece)
				}
				size = page.plain
			}
		}
		sum := 0
		for _, n := range kept {
			sum += n
		}
		if t.Logf("%d series: %d bytes of %d", c.series(), sum, size); sum > size*c.most/100 {
			t.Errorf("%d bytes are kept of a page of %d, which is over %d %%", sum, size, c.most)
		}
	}
}

// TestSharedPieces: a chunk of which one piece is the same in both formats, and another is not.
func TestSharedPieces(t *testing.T) {
	var samples []record.Sample
	for i := range 300 {
		samples = append(samples, set(gaugeMeta, "a", float64(i), "l", fmt.Sprint(i)), set(&record.Meta{Name: "b", Type: record.Counter}, "b", float64(i), "l", fmt.Sprint(i)))
	}
	c := New(Options{})
	for value := range 20 {
		samples[value].Value += 0.5
		_ = c.Put(whole(script("s", 1), samples...))
		for _, i := range rand.New(rand.NewPCG(1, uint64(value))).Perm(4) {
			f := accepted[i/2]
			var page bytes.Buffer
			if err := c.WritePage(&page, f, nil); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(page.Bytes(), get(t, c, f, i%2 == 0)) {
				t.Fatal("what is served is not the page")
			}
		}
	}
}
