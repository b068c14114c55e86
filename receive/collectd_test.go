package receive

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/record"
)

// collectdTime0 is the time of all that the tests send.
var collectdTime0 = time.Unix(1_700_000_000, 0)

var collectdTestSource = &record.Source{Kind: record.Receiver, Name: "collectd", MaxSeries: 100, Verbatim: true}

// collectdTestTypes are some lines of collectd's types.db.
const collectdTestTypes = `# a comment

if_octets	rx:DERIVE:0:U, tx:DERIVE:0:U
load		shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
percent		value:GAUGE:0:100.1
compression	uncompressed:DERIVE:0:U	compressed:DERIVE:0:U
signal_power	value:GAUGE:U:0
total_requests	value:ABSOLUTE:0:U
`

func collectdTestMerge(t testing.TB, ttl time.Duration) *collectdMerge {
	t.Helper()
	types := make(collectdTypes)
	if err := types.read(strings.NewReader(collectdTestTypes), "types.db"); err != nil {
		t.Fatal(err)
	}
	return newCollectdMerge(collectdTestSource, new(Counts), 10*time.Second, ttl, types)
}

// Every case, from packets and requests to batches.
func TestCollectdPairs(t *testing.T) {
	pairs(t, "collectd", func(t *testing.T, a *txtar.Archive) string { return playCollectd(t, a) })
}

func playCollectd(t testing.TB, a *txtar.Archive) string {
	t.Helper()
	var ttl time.Duration
	reader := collectdReader{users: collectdUsers{"alice": "secret"}}
	for line := range strings.Lines(string(a.Comment)) {
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "level":
			reader.least = collectdLevels[value]
		case "ttl":
			ttl, _ = time.ParseDuration(value)
		case "users":
			reader.users = nil
		}
	}
	m := collectdTestMerge(t, ttl)
	var out strings.Builder
	show := func() {
		batches, told := m.take(time.Now())
		describeCollectd(&out, batches)
		for _, what := range slices.Sorted(maps.Keys(told)) {
			fmt.Fprintf(&out, "told: %s: %v\n", told[what].msg, told[what].err)
		}
	}
	for _, f := range a.Files {
		switch f.Name {
		case "packet":
			reader.read(collectdPacketOf(t, string(f.Data)), m)
		case "json":
			if err := readCollectdJSON(f.Data, m.types, m); err != nil {
				fmt.Fprintf(&out, "refused as a whole: %v\n", err)
			}
		case "next":
			show()
			out.WriteString("---\n")
		}
	}
	show()
	for reason, n := range m.counts.View().Dropped {
		fmt.Fprintf(&out, "dropped %d: %s\n", n, reason)
	}
	return out.String()
}

// describeCollectd writes batches down.
func describeCollectd(out *strings.Builder, batches []*record.Batch) {
	for _, b := range batches {
		if b.MaxAge > 0 {
			fmt.Fprintf(out, "for %v:\n", b.MaxAge)
		}
		for _, s := range b.Samples {
			fmt.Fprintf(out, "%s %s", map[record.Type]string{record.Gauge: "gauge", record.Counter: "counter"}[s.Meta.Type], s.Name)
			for i, l := range s.Labels {
				fmt.Fprintf(out, "%c%s=%q", "{,"[min(i, 1)], l.Name, l.Value)
			}
			fmt.Fprintf(out, "} %s %v", map[record.Op]string{record.Set: "=", record.Add: "+="}[s.Op], s.Value)
			if !s.Time.IsZero() {
				fmt.Fprintf(out, " at %v", s.Time.Sub(collectdTime0))
			}
			out.WriteByte('\n')
		}
		for _, e := range b.Events {
			fmt.Fprintf(out, "event %s %q from %v", e.Name, e.Message, e.Start.Sub(collectdTime0))
			if !e.Stop.IsZero() {
				fmt.Fprintf(out, " to %v", e.Stop.Sub(collectdTime0))
			}
			for _, a := range e.Attributes {
				fmt.Fprintf(out, " %s=%q", a.Name, a.Value)
			}
			out.WriteByte('\n')
		}
		for _, e := range record.LineErrors(b.Err) {
			fmt.Fprintf(out, "refused %s: %v", e.Reason, e)
			if e.More > 0 {
				fmt.Fprintf(out, " (and %d more)", e.More)
			}
			out.WriteByte('\n')
		}
	}
}

// collectdPacketOf makes a packet of lines, one a part:
//
//	host|plugin|plugin_instance|type|type_instance|message TEXT
//	time|interval|severity NUMBER       (time_hr, interval_hr: seconds with a fraction)
//	values KIND:VALUE…
//	hex BYTES                           as they are
//	sign USER PASSWORD                  all that follows
//	encrypt USER PASSWORD               all that follows, until the line "end"
func collectdPacketOf(t testing.TB, text string) []byte {
	t.Helper()
	packet, rest := collectdParts(t, strings.Split(strings.TrimRight(text, "\n"), "\n"))
	if len(rest) > 0 {
		t.Fatalf("lines are left: %q", rest)
	}
	return packet
}

var collectdPartNames = map[string]uint16{
	"host": 0, "time": 1, "plugin": 2, "plugin_instance": 3, "type": 4, "type_instance": 5, "values": 6,
	"interval": 7, "time_hr": 8, "interval_hr": 9, "message": 0x100, "severity": 0x101,
}

func collectdParts(t testing.TB, lines []string) (packet []byte, rest []string) {
	for i, line := range lines {
		word, value, _ := strings.Cut(line, " ")
		user, password, _ := strings.Cut(value, " ")
		switch word {
		case "end":
			return packet, lines[i+1:]
		case "hex":
			b, err := hex.DecodeString(strings.ReplaceAll(value, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			packet = append(packet, b...)
		case "sign":
			inner, rest := collectdParts(t, lines[i+1:])
			return append(packet, signCollectd(inner, user, password)...), rest
		case "encrypt":
			inner, rest := collectdParts(t, lines[i+1:])
			packet = append(packet, encryptCollectd(inner, user, password)...)
			more, rest := collectdParts(t, rest)
			return append(packet, more...), rest
		case "values":
			packet = append(packet, collectdPartBytes(6, collectdValuesOf(t, value))...)
		case "time", "interval", "severity":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			packet = append(packet, collectdPartBytes(collectdPartNames[word], binary.BigEndian.AppendUint64(nil, n))...)
		case "time_hr", "interval_hr":
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			packet = append(packet, collectdPartBytes(collectdPartNames[word], binary.BigEndian.AppendUint64(nil, uint64(f*(1<<30))))...)
		default:
			typ, ok := collectdPartNames[word]
			if !ok {
				t.Fatalf("there is no part %q", word)
			}
			packet = append(packet, collectdPartBytes(typ, append([]byte(value), 0))...)
		}
	}
	return packet, nil
}

func collectdPartBytes(typ uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(payload)))
	return append(b, payload...)
}

func collectdValuesOf(t testing.TB, text string) []byte {
	fields := strings.Fields(text)
	b := binary.BigEndian.AppendUint16(nil, uint16(len(fields)))
	var values []byte
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		kind, ok := collectdKindOf(name)
		if !ok {
			t.Fatalf("there is no kind %q", name)
		}
		b = append(b, byte(kind))
		switch n, err := strconv.ParseFloat(value, 64); {
		case err != nil:
			t.Fatal(err)
		case kind == collectdGauge:
			values = binary.LittleEndian.AppendUint64(values, math.Float64bits(n))
		case n < 0:
			values = binary.BigEndian.AppendUint64(values, uint64(int64(n)))
		case n >= 1<<64:
			values = binary.BigEndian.AppendUint64(values, math.MaxUint64)
		default:
			values = binary.BigEndian.AppendUint64(values, uint64(n))
		}
	}
	return append(b, values...)
}

// signCollectd puts a signature in front of what it signs.
func signCollectd(inner []byte, user, password string) []byte {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte(user))
	mac.Write(inner)
	return append(collectdPartBytes(collectdPartSignature, append(mac.Sum(nil), user...)), inner...)
}

// encryptCollectd makes an encrypted part.
func encryptCollectd(inner []byte, user, password string) []byte {
	key, iv := sha256.Sum256([]byte(password)), []byte("0123456789abcdef")
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	sum := sha1.Sum(inner)
	secret := append(sum[:], inner...)
	cipher.NewOFB(block, iv).XORKeyStream(secret, secret) //nolint:staticcheck // the protocol's own, here by another hand than ours
	payload := binary.BigEndian.AppendUint16(nil, uint16(len(user)))
	return collectdPartBytes(collectdPartEncrypted, slices.Concat(payload, []byte(user), iv, secret))
}
