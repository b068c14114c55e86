package collector

import (
	"math"
	"strconv"
	"strings"
)

// This file makes the lines of the page.

// append appends a block's lines, with the family's header before its first. Where
// full is not nil, it is given a piece of the page whenever that is long enough, and gives what
// to go on with.
func (b *block) append(dst []byte, f format, full func([]byte) []byte) []byte {
	first := b == b.family.blocks[0]
	if b.family.loose[f] > 0 {
		if !first {
			return dst
		}
		return b.family.appendLoose(dst, f, b.family.blocks)
	}
	if first {
		dst = b.appendHeader(dst, f)
	}
	if b.health != nil {
		return b.appendHealth(dst, full)
	}
	// The lines of many series stand by themselves: they are the same in most formats, and
	// the header is not.
	apart := full != nil && len(b.series) >= 256
	if apart {
		dst = full(dst)
	}
	b.sortSeries()
	for _, se := range b.series {
		dst = se.append(dst, f)
		if len(dst) >= pieceSize && full != nil {
			dst = full(dst)
		}
	}
	if apart {
		dst = full(dst)
	}
	return dst
}

// appendAlone appends a block with its family's header, as it would stand on OpenMetrics
// if no other source had any of that; mentioned: only the series that the source's last batch
// spoke of.
func (b *block) appendAlone(dst []byte, mentioned bool) []byte {
	if mentioned && b.batch != b.source.batch {
		return dst
	}
	if b.family.loose[openMetrics] > 0 {
		return b.family.appendLoose(dst, openMetrics, []*block{b})
	}
	dst = b.appendHeader(dst, openMetrics)
	b.sortSeries()
	for _, se := range b.series {
		if !mentioned || se.batch == b.source.batch {
			dst = se.append(dst, openMetrics)
		}
	}
	return dst
}

// append appends a series' lines.
func (se *series) append(dst []byte, f format) []byte {
	if d := se.distribution(); d != nil {
		text := se.text()
		for i, v := range d.values() {
			dst = append(d.bounds.appendLine(dst, text, i, f), ' ')
			dst = append(appendValue(dst, v), '\n')
		}
		return dst
	}
	dst = se.appendText(dst)
	dst = append(dst, ' ')
	return se.appendNumbers(dst, f)
}

// appendNumbers appends the value of a series, and its time, and ends the line.
func (se *series) appendNumbers(dst []byte, f format) []byte {
	dst = appendValue(dst, se.value)
	if stamp := se.stamp(); stamp != 0 && f != textfile {
		dst = append(dst, ' ')
		dst = appendStamp(dst, stamp, f)
	}
	return append(dst, '\n')
}

// appendHeader appends what the first blocks that have a word say of the family.
func (b *block) appendHeader(dst []byte, f format) []byte {
	name, word := b.family.name, b.family.kind.word(f)
	help, unit := b.family.description()
	if f != openMetrics {
		name += b.family.kind.suffix()
	}
	if b.family.kind == info {
		unit = "" // which OpenMetrics knows none of there
	}
	return appendMeta(dst, f, name, help, word, unit)
}

// appendMeta appends the header of a family; help and unit may be empty.
func appendMeta(dst []byte, f format, name, help, typ, unit string) []byte {
	line := func(key, value string) {
		dst = append(dst, "# "...)
		dst = append(dst, key...)
		dst = append(dst, ' ')
		dst = append(dst, name...)
		dst = append(dst, ' ')
		dst = append(dst, value...)
		dst = append(dst, '\n')
	}
	if help != "" {
		line("HELP", helpEscapers[f].Replace(help))
	}
	line("TYPE", typ)
	if f == openMetrics && unit != "" {
		line("UNIT", unit)
	}
	return dst
}

var textEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

// helpEscapers differ: OpenMetrics escapes the quote, the text format must not.
var helpEscapers = [formats]*strings.Replacer{
	text:        textEscaper,
	textfile:    textEscaper,
	openMetrics: strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`),
}

// appendValue appends a value in a spelling that both formats read.
func appendValue(dst []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(dst, "+Inf"...)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// appendStamp appends a time given in Unix milliseconds.
func appendStamp(dst []byte, ms int64, f format) []byte {
	if f != openMetrics {
		return strconv.AppendInt(dst, ms, 10)
	}
	dst = strconv.AppendInt(dst, ms/1000, 10)
	dst = append(dst, '.')
	for unit := int64(100); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+ms/unit%10))
	}
	return dst
}
