package collectd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// This file reads collectd's binary protocol. The library of the collectd
// project (collectd.org/network) is not used for it: it drops notifications,
// refuses a packet for one absolute value, reads signed values twice (and what
// is signed n times 2ⁿ times), and lets seven bytes allocate 600 KB, since a
// count of values overflows there. Its writer makes the tests' packets.

// The parts of a packet that mean something here.
const (
	collectdPartHost           = 0x0000
	collectdPartTime           = 0x0001
	collectdPartPlugin         = 0x0002
	collectdPartPluginInstance = 0x0003
	collectdPartType           = 0x0004
	collectdPartTypeInstance   = 0x0005
	collectdPartValues         = 0x0006
	collectdPartInterval       = 0x0007
	collectdPartTimeHR         = 0x0008
	collectdPartIntervalHR     = 0x0009
	collectdPartMessage        = 0x0100
	collectdPartSeverity       = 0x0101
	collectdPartSignature      = 0x0200
	collectdPartEncrypted      = 0x0210
)

// collectdTaker takes what a packet, a request or a poll holds, piece by piece.
type collectdTaker interface {
	// list takes values; it keeps neither l nor its slices.
	list(l *collectdList)
	// notice takes a notification, which it may keep.
	notice(n collectdNotice)
	// bad takes what could not be read, or may not be let in (reason
	// collectdForeign).
	bad(reason string, err error)
}

// Reasons of what is bad.
const (
	collectdMalformed = "malformed"
	// collectdForeign is what the security level or a password keeps out.
	collectdForeign = "unauthorized"
)

// collectdLevel is how well a packet is secured, or must be.
type collectdLevel byte

const (
	collectdPlain collectdLevel = iota
	collectdSigned
	collectdEncrypted
)

// collectdLevels are the levels as the configuration names them.
var collectdLevels = map[string]collectdLevel{
	"none": collectdPlain, "sign": collectdSigned, "encrypt": collectdEncrypted,
}

// collectdReader reads packets. It keeps nothing of them and is safe for
// concurrent use.
type collectdReader struct {
	users collectdUsers // nil: signatures are not looked at
	least collectdLevel // what is secured less is not let in
}

// read gives all that a packet holds to the taker. A part that makes no sense
// costs itself where what follows still has a meaning, and the rest of the
// packet where not. A packet costs time and memory in proportion to its size,
// whatever it holds.
func (r *collectdReader) read(packet []byte, to collectdTaker) {
	s := collectdState{reader: r, taker: to}
	if err := s.read(packet, collectdPlain); err != nil {
		reason := collectdMalformed
		if errors.As(err, new(*foreignError)) {
			reason = collectdForeign
		}
		to.bad(reason, err)
	}
}

// collectdState is what the parts of a packet have said so far: each holds
// until another of its type comes.
type collectdState struct {
	reader   *collectdReader
	taker    collectdTaker
	current  collectdList
	severity uint64
}

// foreignError says why a packet is not let in.
type foreignError struct{ why string }

func (e *foreignError) Error() string { return e.why }

var (
	errShortPart = errors.New("a part is longer than its packet")
	errTooPlain  = errors.New("it is not signed or encrypted as security_level asks")
)

// read reads the parts of a packet, or of an encrypted part of one, that is
// secured as level says.
func (s *collectdState) read(packet []byte, level collectdLevel) error {
	for len(packet) > 0 {
		if len(packet) < 4 {
			return errShortPart
		}
		typ, size := binary.BigEndian.Uint16(packet), int(binary.BigEndian.Uint16(packet[2:]))
		if size < 5 || size > len(packet) {
			return errShortPart
		}
		payload := packet[4:size]
		packet = packet[size:]
		switch typ {
		case collectdPartSignature:
			if level != collectdPlain {
				return errors.New("a signature is inside a signed or encrypted part")
			}
			verified, err := s.reader.users.verify(payload, packet)
			if err != nil {
				return err
			}
			if verified {
				// What stands before a signature is not signed: it must not
				// say of what or when the values are.
				level = collectdSigned
				s.current, s.severity = collectdList{}, 0
			}
		case collectdPartEncrypted:
			if level == collectdEncrypted {
				return errors.New("an encrypted part is inside another")
			}
			plain, err := s.reader.users.decrypt(payload)
			if err != nil {
				return err
			}
			inner := collectdState{reader: s.reader, taker: s.taker}
			if err := inner.read(plain, collectdEncrypted); err != nil {
				return err
			}
		default:
			if err := s.part(typ, payload, level); err != nil {
				return err
			}
		}
	}
	return nil
}

// part takes one part that is no wrapping of others. An error is for one that
// what follows depends on.
func (s *collectdState) part(typ uint16, payload []byte, level collectdLevel) error {
	var err error
	switch typ {
	case collectdPartHost:
		s.current.host, err = collectdText(payload)
	case collectdPartPlugin:
		s.current.plugin, err = collectdText(payload)
	case collectdPartPluginInstance:
		s.current.pluginInstance, err = collectdText(payload)
	case collectdPartType:
		s.current.typ, err = collectdText(payload)
	case collectdPartTypeInstance:
		s.current.typeInstance, err = collectdText(payload)
	case collectdPartTime, collectdPartTimeHR, collectdPartInterval, collectdPartIntervalHR, collectdPartSeverity:
		err = s.number(typ, payload)
	case collectdPartValues, collectdPartMessage:
		if level < s.reader.least {
			s.taker.bad(collectdForeign, errTooPlain)
			return nil
		}
		if typ == collectdPartValues {
			s.values(payload)
		} else {
			s.message(payload)
		}
	}
	return err
}

// collectdText reads a text, which ends with a zero byte.
func collectdText(payload []byte) (string, error) {
	text, _, ended := bytes.Cut(payload, []byte{0})
	if !ended {
		return "", errors.New("a text does not end")
	}
	return string(text), nil
}

// number reads one of the parts that are a number.
func (s *collectdState) number(typ uint16, payload []byte) error {
	if len(payload) != 8 {
		return fmt.Errorf("a number has %d bytes, not 8", len(payload))
	}
	n := binary.BigEndian.Uint64(payload)
	switch typ {
	case collectdPartSeverity:
		s.severity = n
	case collectdPartTime:
		s.current.time = collectdTime(n, 0)
	case collectdPartTimeHR:
		s.current.time = collectdTime(n>>30, fraction(n))
	case collectdPartInterval:
		s.current.interval = collectdInterval(n, 0)
	case collectdPartIntervalHR:
		s.current.interval = collectdInterval(n>>30, fraction(n))
	}
	return nil
}

// fraction gives the nanoseconds of a time that counts 2⁻³⁰ seconds.
func fraction(n uint64) time.Duration {
	const mask = 1<<30 - 1
	return time.Duration((n & mask) * uint64(time.Second) >> 30)
}

// collectdTime is a moment in Unix time; zero for one that means nothing.
func collectdTime(seconds uint64, more time.Duration) time.Time {
	if seconds == 0 || seconds >= 1<<34 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(more))
}

// collectdInterval is a duration of at most collectdSlowest.
func collectdInterval(seconds uint64, more time.Duration) time.Duration {
	return min(time.Duration(min(seconds, 1<<32))*time.Second+more, collectdSlowest)
}

// values reads the values of a list: their number, their kinds, themselves.
func (s *collectdState) values(b []byte) {
	const each = 1 + 8
	n := (len(b) - 2) / each
	if len(b) != 2+n*each || int(binary.BigEndian.Uint16(b)) != n || n == 0 {
		s.taker.bad(collectdMalformed, fmt.Errorf("%s: %d bytes do not contain the values that they announce", &s.current.collectdID, len(b)))
		return
	}
	l := &s.current
	l.values = l.values[:0]
	for i := range n {
		v, err := collectdNumber(b[2+i], b[2+n+8*i:])
		if err != nil {
			s.taker.bad(collectdMalformed, fmt.Errorf("%s: %w", &l.collectdID, err))
			return
		}
		l.values = append(l.values, v)
	}
	s.taker.list(l)
}

// collectdNumber reads a value from the beginning of b.
func collectdNumber(kind byte, b []byte) (collectdValue, error) {
	v := collectdValue{kind: collectdKind(kind)}
	switch v.kind {
	case collectdGauge: // the one thing in little endian
		v.value = math.Float64frombits(binary.LittleEndian.Uint64(b))
	case collectdDerive:
		v.value = float64(int64(binary.BigEndian.Uint64(b)))
	case collectdCounter, collectdAbsolute:
		v.value = float64(binary.BigEndian.Uint64(b))
	default:
		return v, fmt.Errorf("there is no data source type %d", kind)
	}
	return v, nil
}

// message reads the text of a notification, which makes it complete.
func (s *collectdState) message(b []byte) {
	text, err := collectdText(b)
	severity, ok := collectdSeverities[s.severity]
	switch {
	case err != nil:
		s.taker.bad(collectdMalformed, fmt.Errorf("a notification of the host %q: %w", s.current.host, err))
	case !ok:
		s.taker.bad(collectdMalformed, fmt.Errorf("a notification of the host %q: there is no severity %d", s.current.host, s.severity))
	default:
		s.taker.notice(collectdNotice{collectdID: s.current.collectdID, time: s.current.time, severity: severity, message: text})
	}
}
