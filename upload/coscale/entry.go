package coscale

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/bits"

	"scriptbridge/record"
)

// An entry of the spool begins with a letter that says what follows. None is
// ever part of a request: ids, and the name that a metric has at the other end,
// are found when it is sent.
const (
	valuesEntry = 'v'
	eventEntry  = 'e'
	// passedEntry is valuesEntry of values that came through other bridges,
	// whose names come first.
	passedEntry = 'w'
)

// fact is what is known of a metric.
type fact struct {
	name        string // without suffix and unit
	suffix      string
	unit        string
	help        string
	dataType    string // the API's
	groups      string
	tags        string
	period      int64       // seconds
	aggregation aggregation // what is sent of it
}

// value is one value of one series, or what was observed of it at once.
type value struct {
	fact     int // its place among the entry's
	subject  record.Subject
	labels   []record.Label
	time     int64 // Unix seconds
	value    float64
	observed []observation // at least one, where the fact's aggregation is of such; then value means nothing
}

// values is an entry of values: of one batch and one slot.
type values struct {
	via    string // the bridges that they came through, as withVia has them
	facts  []fact
	values []value
}

// encode writes an entry: a table of texts, to which all that follows refers,
// the facts, and the values.
func (v *values) encode() []byte {
	w := entryWriter{index: make(map[string]uint64)}
	letter := byte(valuesEntry)
	if v.via != "" {
		letter = passedEntry
		w.text(v.via)
	}
	w.uint(uint64(len(v.facts)))
	for i := range v.facts {
		f := &v.facts[i]
		for _, text := range []string{f.name, f.suffix, f.unit, f.help, f.dataType, f.groups, f.tags} {
			w.text(text)
		}
		w.uint(uint64(f.period))
		w.uint(uint64(f.aggregation))
	}
	w.uint(uint64(len(v.values)))
	for i := range v.values {
		one := &v.values[i]
		w.uint(uint64(one.fact))
		w.uint(uint64(one.subject.Kind))
		w.text(one.subject.Name)
		w.uint(uint64(len(one.labels)))
		for _, l := range one.labels {
			w.text(l.Name)
			w.text(l.Value)
		}
		w.body = binary.AppendVarint(w.body, one.time)
		if !v.facts[one.fact].aggregation.lists() {
			w.float(one.value)
			continue
		}
		w.uint(uint64(len(one.observed)))
		for _, o := range one.observed {
			w.float(o.value)
			w.uint(bits.Reverse64(math.Float64bits(o.weight))) // small numbers have two bytes or one
		}
	}
	return w.bytes(letter)
}

type entryWriter struct {
	table []byte
	index map[string]uint64
	body  []byte
}

func (w *entryWriter) uint(n uint64) { w.body = binary.AppendUvarint(w.body, n) }

func (w *entryWriter) float(v float64) {
	w.body = binary.LittleEndian.AppendUint64(w.body, math.Float64bits(v))
}

func (w *entryWriter) text(s string) {
	place, ok := w.index[s]
	if !ok {
		place = uint64(len(w.index))
		w.index[s] = place
		w.table = binary.AppendUvarint(w.table, uint64(len(s)))
		w.table = append(w.table, s...)
	}
	w.uint(place)
}

func (w *entryWriter) bytes(letter byte) []byte {
	b := make([]byte, 0, len(w.table)+len(w.body)+binary.MaxVarintLen64+1)
	b = binary.AppendUvarint(append(b, letter), uint64(len(w.index)))
	return append(append(b, w.table...), w.body...)
}

var errEntry = errors.New("the entry cannot be read")

// readEntry reads an entry: values, or an event.
func readEntry(text []byte) (v *values, e *event, err error) {
	if len(text) == 0 {
		return nil, nil, errEntry
	}
	switch text[0] {
	case valuesEntry, passedEntry:
		v, err = readValues(text[1:], text[0] == passedEntry)
	case eventEntry:
		e, err = decodeEvent(text[1:])
	default:
		err = errEntry
	}
	return v, e, err
}

// readValues reads what encode wrote, after the letter.
func readValues(text []byte, passed bool) (*values, error) {
	r := entryReader{rest: text}
	r.readTable()
	v := new(values)
	if passed {
		v.via = r.text()
	}
	facts := r.count(9)
	v.facts = make([]fact, 0, facts)
	for range facts {
		var f fact
		for _, to := range []*string{&f.name, &f.suffix, &f.unit, &f.help, &f.dataType, &f.groups, &f.tags} {
			*to = r.text()
		}
		f.period = int64(r.uint() & math.MaxInt64)
		f.aggregation = aggregation(r.uint())
		r.bad = r.bad || f.aggregation >= shapes
		v.facts = append(v.facts, f)
	}
	n := r.count(13)
	v.values = make([]value, 0, n)
	var labels []record.Label // of many values, in one piece
	for range n {
		var one value
		one.fact = int(r.uint() & math.MaxInt32)
		one.subject = record.Subject{Kind: record.SubjectKind(r.uint() & math.MaxUint8), Name: r.text()}
		if n := r.count(2); n > 0 {
			if cap(labels)-len(labels) < n {
				labels = make([]record.Label, 0, max(n, labelsAtOnce))
			}
			begin := len(labels)
			for range n {
				labels = append(labels, record.Label{Name: r.text(), Value: r.text()})
			}
			one.labels = labels[begin:len(labels):len(labels)]
		}
		one.time = r.int()
		switch {
		case one.fact >= len(v.facts):
			r.fail()
		case v.facts[one.fact].aggregation.lists():
			one.observed = r.observed()
		default:
			one.value = r.float()
		}
		v.values = append(v.values, one)
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errEntry
	}
	return v, nil
}

// labelsAtOnce is for how many labels there is room in a piece.
const labelsAtOnce = 256

// readTable reads the texts. They are parts of one string.
func (r *entryReader) readTable() {
	n := r.count(1)
	begin := r.rest
	for range n {
		r.take(r.uint())
	}
	if r.bad {
		return
	}
	all := string(begin[:len(begin)-len(r.rest)])
	r.table = make([]string, 0, n)
	for range n {
		size, head := binary.Uvarint(begin)
		end := head + int(size)
		r.table = append(r.table, all[head:end])
		begin, all = begin[end:], all[end:]
	}
}

// entryReader reads; once something is not there, all that follows is empty.
type entryReader struct {
	rest  []byte
	table []string
	bad   bool
}

func (r *entryReader) fail() {
	r.bad, r.rest = true, nil
}

func (r *entryReader) uint() uint64 { return varint(r, binary.Uvarint) }

func (r *entryReader) int() int64 { return varint(r, binary.Varint) }

func varint[T int64 | uint64](r *entryReader, read func([]byte) (T, int)) T {
	n, size := read(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// float reads a finite number.
func (r *entryReader) float() float64 {
	b := r.take(8)
	if len(b) < 8 {
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(b))
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.fail()
		return 0
	}
	return v
}

func (r *entryReader) observed() []observation {
	list := make([]observation, r.count(9))
	for i := range list {
		list[i] = observation{r.float(), math.Float64frombits(bits.Reverse64(r.uint()))}
		if !goodWeight(list[i].weight) {
			r.fail()
		}
	}
	if len(list) == 0 {
		r.fail()
	}
	return list
}

// count reads a number of things that have at least so many bytes each, which
// bounds it by what is there.
func (r *entryReader) count(least int) int {
	n := r.uint()
	if n > uint64(len(r.rest)/least) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *entryReader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *entryReader) text() string {
	if n := r.uint(); n < uint64(len(r.table)) {
		return r.table[n]
	}
	r.fail()
	return ""
}

// event is an entry of one event. It stands there as JSON.
type event struct {
	Key         string         `json:"key"`  // of what is known of it: see eventMark
	Hash        string         `json:"hash"` // of all that can change of it
	Category    string         `json:"category"`
	Description string         `json:"description,omitempty"`
	Declared    []string       `json:"declared,omitempty"` // attributes of the category
	Message     string         `json:"message"`
	Start       int64          `json:"start"`          // Unix seconds
	Stop        int64          `json:"stop,omitempty"` // 0: it goes on
	Subject     record.Subject `json:"subject"`
	Attributes  []record.Label `json:"attributes,omitempty"`
	Via         string         `json:"via,omitempty"` // as of values
}

func (e *event) encode() ([]byte, error) {
	text, err := json.Marshal(e)
	return append([]byte{eventEntry}, text...), err
}

func decodeEvent(text []byte) (*event, error) {
	e := new(event)
	if err := json.Unmarshal(text, e); err != nil || e.Key == "" || e.Category == "" {
		return nil, errEntry
	}
	return e, nil
}
