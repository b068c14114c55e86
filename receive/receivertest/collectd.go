package receivertest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// CollectdPackets makes packets, each of a text as CollectdPacket has it.
func CollectdPackets(texts ...string) []string {
	for i, text := range texts {
		packet, _ := collectdParts(nil, strings.Split(text, "\n"))
		texts[i] = string(packet)
	}
	return texts
}

// CollectdTypes are some lines of collectd's types.db.
const CollectdTypes = `# a comment

if_octets	rx:DERIVE:0:U, tx:DERIVE:0:U
load		shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
percent		value:GAUGE:0:100.1
compression	uncompressed:DERIVE:0:U	compressed:DERIVE:0:U
signal_power	value:GAUGE:U:0
total_requests	value:ABSOLUTE:0:U
`

// CollectdPacket makes a packet of lines, one a part:
//
//	host|plugin|plugin_instance|type|type_instance|message TEXT
//	time|interval|severity NUMBER       (time_hr, interval_hr: seconds with a fraction)
//	values KIND:VALUE…
//	hex BYTES                           as they are
//	sign USER PASSWORD                  all that follows
//	encrypt USER PASSWORD               all that follows, until the line "end"
func CollectdPacket(t testing.TB, text string) []byte {
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
			return append(packet, SignCollectd(inner, user, password)...), rest
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
		kind := slices.Index([]string{"counter", "gauge", "derive", "absolute"}, name)
		if kind < 0 {
			t.Fatalf("there is no kind %q", name)
		}
		b = append(b, byte(kind))
		switch n, err := strconv.ParseFloat(value, 64); {
		case err != nil:
			t.Fatal(err)
		case kind == 1: // a gauge, in little endian
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

// SignCollectd puts a signature in front of what it signs.
func SignCollectd(inner []byte, user, password string) []byte {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte(user))
	mac.Write(inner)
	return append(collectdPartBytes(0x200, append(mac.Sum(nil), user...)), inner...)
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
	return collectdPartBytes(0x210, slices.Concat(payload, []byte(user), iv, secret))
}
