package collectd

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/receive/receivertest"

	"collectd.org/api"
	"collectd.org/network"
	"github.com/google/go-cmp/cmp"
)

// recorder is a consumer that remembers.
type recorder struct {
	lists    []valueList
	notices  []notification
	rejected []error
}

func (h *recorder) list(l *valueList) {
	one := *l
	one.key, one.values = slices.Clone(l.key), slices.Clone(l.values)
	one.came = time.Time{}
	h.lists = append(h.lists, one)
}
func (h *recorder) notice(n notification) { h.notices = append(h.notices, n) }
func (h *recorder) reject(reason string, err error) {
	h.rejected = append(h.rejected, fmt.Errorf("%s: %w", reason, err))
}

// libraryLists are lists that the collectd project's library can write.
var libraryLists = []*api.ValueList{
	{
		Identifier: api.Identifier{Host: "web1", Plugin: "interface", PluginInstance: "eth0", Type: "if_octets"},
		Time:       epoch.Add(250 * time.Millisecond), Interval: 10 * time.Second,
		Values: []api.Value{api.Derive(-1), api.Derive(1 << 40)},
	},
	{
		Identifier: api.Identifier{Host: "web1", Plugin: "cpu", PluginInstance: "0", Type: "percent", TypeInstance: "idle"},
		Time:       epoch.Add(time.Second), Interval: 500 * time.Millisecond,
		Values: []api.Value{api.Gauge(98.75)},
	},
	{
		Identifier: api.Identifier{Host: "web2", Plugin: "p", Type: "counter"},
		Time:       epoch.Add(time.Second), Interval: 500 * time.Millisecond,
		Values: []api.Value{api.Counter(1 << 63)},
	},
}

// ourLists are libraryLists as we read them.
var ourLists = []valueList{
	{
		key:  (&identifier{"web1", "interface", "eth0", "if_octets", ""}).key(),
		time: epoch.Add(250 * time.Millisecond), interval: 10 * time.Second,
		values: []dsValue{{kind: dsDerive, value: -1}, {kind: dsDerive, value: 1 << 40}},
	},
	{
		key:  (&identifier{"web1", "cpu", "0", "percent", "idle"}).key(),
		time: epoch.Add(time.Second), interval: 500 * time.Millisecond,
		values: []dsValue{{kind: dsGauge, value: 98.75}},
	},
	{
		key:  (&identifier{"web2", "p", "", "counter", ""}).key(),
		time: epoch.Add(time.Second), interval: 500 * time.Millisecond,
		values: []dsValue{{kind: dsCounter, value: 1 << 63}},
	},
}

// The packets of the collectd project's own library, in all three ways.
func TestLibraryPackets(t *testing.T) {
	reader := packetReader{users: users{"alice": "secret"}}
	for level, secure := range map[string]func(*network.Buffer){
		"none":    func(*network.Buffer) {},
		"sign":    func(b *network.Buffer) { b.Sign("alice", "secret") },
		"encrypt": func(b *network.Buffer) { b.Encrypt("alice", "secret") },
	} {
		t.Run(level, func(t *testing.T) {
			reader := reader
			reader.least = securityLevels[level]
			var heard recorder
			reader.read(libraryPacket(t, secure), &heard)
			want := recorder{lists: slices.Clone(ourLists)}
			for i := range want.lists {
				want.lists[i].secured = level != "none"
			}
			if diff := cmp.Diff(want, heard, allowUnexported); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

var allowUnexported = cmp.Exporter(func(t reflect.Type) bool { return strings.HasSuffix(t.PkgPath(), "receive/collectd") })

func libraryPacket(t testing.TB, secure func(*network.Buffer)) []byte {
	t.Helper()
	b := network.NewBuffer(0)
	secure(b)
	for _, l := range libraryLists {
		if err := b.Write(context.Background(), l); err != nil {
			t.Fatal(err)
		}
	}
	packet, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// FuzzPacket: whatever a packet holds, reading it ends, makes no more
// of it than there are bytes, and finds all that the library finds in it.
func FuzzPacket(f *testing.F) {
	for _, a := range cases.All(f, "testdata/cases") {
		for _, file := range a.Files {
			if file.Name == "packet" {
				f.Add(receivertest.CollectdPacket(f, string(file.Data)))
			}
		}
	}
	log.SetOutput(io.Discard) // the library's
	f.Cleanup(func() { log.SetOutput(os.Stderr) })
	reader := packetReader{users: users{"alice": "secret", "": "x"}}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var heard recorder
		reader.read(packet, &heard)
		values := 0
		for _, l := range heard.lists {
			values += len(l.values)
		}
		if values*9 > len(packet) || len(heard.notices)*6 > len(packet) || len(heard.rejected) > 1+len(packet)/5 {
			t.Errorf("%d bytes hold %d values, %d notifications, %d errors", len(packet), values, len(heard.notices), len(heard.rejected))
		}
		// What is let in through the rest is bounded, and makes no panic.
		m := testMerge(t, 0)
		reader.read(packet, m)
		for range 2 {
			batches, _ := m.drain(time.Now())
			if len(batches) > maxAges {
				t.Errorf("%d batches", len(batches))
			}
			for _, b := range batches {
				if b.MaxAge > 2*maxInterval || len(b.Samples) > m.limit {
					t.Errorf("a batch of %d samples for %v", len(b.Samples), b.MaxAge)
				}
			}
		}
		if len(heard.rejected) > 0 || hasPart(packet, partSignature) {
			return // there the library reads something else, or too much
		}
		theirs, err := network.Parse(packet, network.ParseOpts{})
		if err != nil {
			return
		}
		if diff := cmp.Diff(libraryShown(theirs), shown(heard.lists)); diff != "" {
			t.Errorf("-library +ours:\n%s", diff)
		}
	})
}

// hasPart reports whether a packet has a part of a type.
func hasPart(packet []byte, typ uint16) bool {
	for len(packet) >= 4 {
		size := int(packet[2])<<8 | int(packet[3])
		if uint16(packet[0])<<8|uint16(packet[1]) == typ {
			return true
		}
		if size < 4 || size > len(packet) {
			return false
		}
		packet = packet[size:]
	}
	return false
}

func libraryShown(lists []*api.ValueList) []string {
	var all []string
	for _, l := range lists {
		id := []string{l.Host, l.Plugin, l.PluginInstance, l.Type, l.TypeInstance}
		for i := range id {
			id[i], _, _ = strings.Cut(id[i], "\x00") // C's texts end there
		}
		text := fmt.Sprintf("%q", id)
		for _, v := range l.Values {
			switch v := v.(type) {
			case api.Gauge:
				text += fmt.Sprintf(" gauge %v", float64(v))
			case api.Derive:
				text += fmt.Sprintf(" derive %v", float64(v))
			case api.Counter:
				text += fmt.Sprintf(" counter %v", float64(v))
			}
		}
		all = append(all, text)
	}
	return all
}

func shown(lists []valueList) []string {
	var all []string
	for _, l := range lists {
		id := l.key.identifier()
		text := fmt.Sprintf("%q", []string{id.host, id.plugin, id.pluginInstance, id.typ, id.typeInstance})
		for _, v := range l.values {
			text += fmt.Sprintf(" %v %v", v.kind, v.value)
		}
		all = append(all, text)
	}
	return all
}

// What is signed many times over takes no longer than its bytes do: the library
// would read it 2⁴⁰ times.
func TestSignedOverAndOver(t *testing.T) {
	packet := receivertest.CollectdPacket(t, "host h\nplugin p\ntype t\nvalues gauge:1")
	for range 40 {
		packet = receivertest.SignCollectd(packet, "a", "x")
	}
	var heard recorder
	(&packetReader{users: users{"a": "x"}}).read(packet, &heard)
	want := "[malformed: a signature is inside a signed or encrypted part]"
	if got := fmt.Sprint(heard.rejected); got != want || len(heard.lists) > 0 {
		t.Errorf("heard %v, %s", heard.lists, got)
	}
}

// A count of values that overflows costs no memory.
func TestCountOfValues(t *testing.T) {
	packet := receivertest.CollectdPacket(t, "host h\nplugin p\ntype t\n"+strings.Repeat("hex 00 06 00 07 8e 39 00\n", 200))
	reader := packetReader{}
	var heard recorder
	if n := testing.AllocsPerRun(10, func() {
		heard = recorder{}
		reader.read(packet, &heard)
	}); n > 3000 {
		t.Errorf("%v allocations", n)
	}
	if len(heard.rejected) != 200 {
		t.Errorf("%d errors: %v", len(heard.rejected), heard.rejected[:1])
	}
}

// The tables are bounded by max_series, and free again when nobody speaks any
// more of what is in them.
func TestMaxSeries(t *testing.T) {
	m := testMerge(t, 0)
	send := func(from, to int) {
		for i := from; i < to; i++ {
			m.list(&valueList{key: (&identifier{"h", "p", fmt.Sprint(i), "t", ""}).key(), values: []dsValue{{kind: dsGauge}}})
		}
	}
	send(0, 150)
	if n := m.counts.View().Dropped["max_series"]; n != 50 {
		t.Errorf("%d dropped", n)
	}
	batches, _ := m.drain(time.Now())
	if len(batches) != 1 || len(batches[0].Samples) != 100 {
		t.Errorf("%d batches", len(batches))
	}
	m.drain(time.Now().Add(time.Hour))
	if len(m.series)+len(m.owners)+len(m.metas)+len(m.known) != 0 {
		t.Errorf("%d series, %d owners, %d metas, %d lists are left", len(m.series), len(m.owners), len(m.metas), len(m.known))
	}
	send(150, 200)
	if n := m.counts.View().Dropped["max_series"]; n != 50 {
		t.Errorf("%d dropped", n)
	}
}

// Many lifetimes make few batches, and no value lives shorter than it says.
func TestManyAges(t *testing.T) {
	m := testMerge(t, 0)
	for i := range 90 {
		m.list(&valueList{
			key: (&identifier{"h", "p", fmt.Sprint(i), "t", ""}).key(), interval: time.Duration(i+10) * time.Second,
			values: []dsValue{{kind: dsGauge, value: float64(2 * (i + 10))}},
		})
	}
	batches, _ := m.drain(time.Now())
	if len(batches) != maxAges {
		t.Errorf("%d batches", len(batches))
	}
	for _, b := range batches {
		for _, s := range b.Samples {
			if b.MaxAge.Seconds() < s.Value {
				t.Errorf("%v lives for %v", s.Value, b.MaxAge)
			}
		}
	}
}

func TestUsers(t *testing.T) {
	for _, c := range []struct{ text, want, wantErr string }{
		{"alice: secret\n# a comment\n  bob :  a:b \n", "alice=secret bob=a:b", ""},
		{"alice: secret", "alice=secret", ""}, // the library forgets a last line without an end
		{"alice\n", "", "auth_file: FILE has a line without a user and a password; write it like USER: PASSWORD"},
		{"alice:\n", "", "auth_file: FILE has a line without a user and a password; write it like USER: PASSWORD"},
		{"a: b\na: c\n", "", `auth_file: FILE has two passwords for the user "a"; leave one`},
		{"\n", "", "auth_file: FILE: holds nothing (write the secret into it, in a line of its own)"},
	} {
		file := filepath.Join(t.TempDir(), "auth")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		users, err := loadUsers(file)
		var got []string
		for name, password := range users {
			got = append(got, name+"="+password.Reveal())
		}
		slices.Sort(got)
		gotErr := ""
		if err != nil {
			gotErr = strings.ReplaceAll(err.Error(), file, "FILE")
		}
		if strings.Join(got, " ") != c.want || gotErr != c.wantErr {
			t.Errorf("%q: got %q, error %q", c.text, got, gotErr)
		}
	}
}

// BenchmarkPacket reads packets as collectd sends them, filled with
// values of 40 series, and puts each second's.
func BenchmarkPacket(b *testing.B) {
	for name, secure := range map[string]func(*network.Buffer){
		"plain":     func(*network.Buffer) {},
		"signed":    func(b *network.Buffer) { b.Sign("alice", "secret") },
		"encrypted": func(b *network.Buffer) { b.Encrypt("alice", "secret") },
	} {
		b.Run(name, func(b *testing.B) {
			buffer := network.NewBuffer(0)
			secure(buffer)
			values := 0
			for i := range 100 {
				if buffer.Available() < 60 {
					break
				}
				err := buffer.Write(context.Background(), &api.ValueList{
					Identifier: api.Identifier{Host: "web1.example.com", Plugin: "interface", PluginInstance: fmt.Sprint("eth", i), Type: "if_octets"},
					Time:       epoch, Interval: 10 * time.Second,
					Values: []api.Value{api.Derive(i), api.Derive(i)},
				})
				if err != nil {
					b.Fatal(err)
				}
				values += 2
			}
			packet, err := buffer.Bytes()
			if err != nil {
				b.Fatal(err)
			}
			reader := packetReader{users: users{"alice": "secret"}}
			m := sameAgain{testMerge(b, 0)}
			b.SetBytes(int64(len(packet)))
			b.ReportAllocs()
			for b.Loop() {
				reader.read(packet, m)
			}
			b.ReportMetric(float64(values), "values/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}

// sameAgain takes one packet again and again.
type sameAgain struct{ *merge }

func (m sameAgain) list(l *valueList) {
	l.secured = false
	m.merge.list(l)
}

// What stands before a signature is not signed, and says nothing of what is.
func TestBeforeASignature(t *testing.T) {
	signed := receivertest.SignCollectd(receivertest.CollectdPacket(t, "host h\nplugin p\ntype t\nvalues gauge:1"), "a", "x")
	forged := append(receivertest.CollectdPacket(t, "plugin_instance forged\ntype_instance forged"), signed...)
	var heard recorder
	(&packetReader{users: users{"a": "x"}, least: levelSign}).read(forged, &heard)
	want := []string{`["h" "p" "" "t" ""] gauge 1`}
	if diff := cmp.Diff(want, shown(heard.lists)); diff != "" || len(heard.rejected) > 0 {
		t.Errorf("-want +got:\n%s, bad: %v", diff, heard.rejected)
	}
}

// Whatever comes, what is remembered has a bound: names that clash with a
// series that is there, names of data sources, messages.
func TestBounds(t *testing.T) {
	m := testMerge(t, 0)
	clashing := make([]byte, 8)
	for i := range 10_000 {
		for bit := range clashing { // !!#!…, which is ________ on the page
			clashing[bit] = "!#$%&*+="[i>>(3*bit)&7]
		}
		m.list(&valueList{key: (&identifier{"h", string(clashing), "", "t", ""}).key(), values: []dsValue{{kind: dsGauge}}})
	}
	if len(m.series) != 1 || len(m.metas) != 1 {
		t.Errorf("%d series, %d metas", len(m.series), len(m.metas))
	}
	m.drain(time.Now())
	m.list(&valueList{
		key: (&identifier{"h", "p", "", "t", ""}).key(), names: []string{strings.Repeat("x", 1<<20), "good"},
		values: []dsValue{{kind: dsGauge}, {kind: dsGauge}},
	})
	batches, _ := m.drain(time.Now())
	var out strings.Builder
	describe(&out, batches)
	want := "for 20s:\ngauge collectd_p_t_good{instance=\"h\"} = 0\nrefused malformed: h/p/t: the name of a data source has 1048576 bytes, more than 255\n"
	if out.String() != want {
		t.Errorf("got %s", out.String())
	}
	long := strings.Repeat("x", 1<<20)
	m.notice(notification{identifier: identifier{"h", "p", "", "t", ""}, severity: "failure", message: long})
	kept := m.events[0].Message
	if len(kept) != maxMessage || unsafe.StringData(kept) == unsafe.StringData(long) {
		t.Errorf("%d bytes of a message are kept, or all of it", len(kept))
	}
}
