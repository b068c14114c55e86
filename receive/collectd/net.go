package collectd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// This file reads collectd's binary protocol. Why it is not the library of the
// collectd project (collectd.org/network) that does: see Decisions in
// docs/architecture.md. Its writer makes the tests' packets.

// The parts of a packet that mean something here.
const (
	partHost           = 0x0000
	partTime           = 0x0001
	partPlugin         = 0x0002
	partPluginInstance = 0x0003
	partType           = 0x0004
	partTypeInstance   = 0x0005
	partValues         = 0x0006
	partInterval       = 0x0007
	partTimeHR         = 0x0008
	partIntervalHR     = 0x0009
	partMessage        = 0x0100
	partSeverity       = 0x0101
	partSignature      = 0x0200
	partEncrypted      = 0x0210
)

// consumer takes what a packet, a request or a poll holds, piece by piece.
type consumer interface {
	// list takes values; it keeps neither l nor its slices.
	list(l *valueList)
	// notice takes a notification, which it may keep.
	notice(n notification)
	// reject takes what could not be read, or may not be let in (reason
	// unauthorized).
	reject(reason string, err error)
}

// Reasons of what is rejected.
const (
	malformed = "malformed"
	// unauthorized is what the security level or a password keeps out.
	unauthorized = "unauthorized"
)

// securityLevel is how well a packet is secured, or must be.
type securityLevel byte

const (
	levelNone securityLevel = iota
	levelSign
	levelEncrypt
)

// securityLevels are the levels as the configuration names them.
var securityLevels = map[string]securityLevel{
	"none": levelNone, "sign": levelSign, "encrypt": levelEncrypt,
}

// packetReader reads packets, one at a time. It keeps nothing of them but the
// memory that it needs for one.
type packetReader struct {
	users users         // nil: signatures are not looked at
	least securityLevel // what is secured less is not let in
	state packetState
	inner packetState // of what is encrypted
}

// read gives all that a packet holds to the consumer. A part that makes no sense
// costs itself where what follows still has a meaning, and the rest of the
// packet where not. A packet costs time and memory in proportion to its size,
// whatever it holds.
func (r *packetReader) read(packet []byte, to consumer) {
	s := &r.state
	s.begin(r, to, time.Now())
	if err := s.read(packet, levelNone); err != nil {
		reason := malformed
		if errors.As(err, new(*unauthorizedError)) {
			reason = unauthorized
		}
		to.reject(reason, err)
	}
}

// packetState is what the parts of a packet have said so far: each holds
// until another of its type comes.
type packetState struct {
	reader   *packetReader
	consumer consumer
	parts    [identifierParts][]byte // of the identifier, in the packet
	current  valueList               // its key may be that of earlier parts
	severity uint64
}

// begin makes it ready for a packet, or a part that nothing before it counts for.
func (s *packetState) begin(r *packetReader, to consumer, came time.Time) {
	old := &s.current
	*s = packetState{reader: r, consumer: to, current: valueList{key: old.key[:0], values: old.values[:0], before: old.before, came: came}}
}

// identifier is that of what comes next.
func (s *packetState) identifier() identifier {
	s.current.key = appendKey(s.current.key[:0], s.parts)
	return s.current.key.identifier()
}

// unauthorizedError says why a packet is not let in.
type unauthorizedError struct{ why string }

func (e *unauthorizedError) Error() string { return e.why }

var (
	errShortPart = errors.New("a part is longer than its packet")
	errTooPlain  = errors.New("it is not signed or encrypted as security_level asks")
)

// read reads the parts of a packet, or of an encrypted part of one, that is
// secured as level says.
func (s *packetState) read(packet []byte, level securityLevel) error {
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
		case partSignature:
			if level != levelNone {
				return errors.New("a signature is inside a signed or encrypted part")
			}
			verified, err := s.reader.users.verify(payload, packet)
			if err != nil {
				return err
			}
			if verified {
				// What stands before a signature is not signed: it must not
				// say of what or when the values are.
				level = levelSign
				s.begin(s.reader, s.consumer, s.current.came)
			}
		case partEncrypted:
			if level == levelEncrypt {
				return errors.New("an encrypted part is inside another")
			}
			plain, err := s.reader.users.decrypt(payload)
			if err != nil {
				return err
			}
			inner := &s.reader.inner
			inner.begin(s.reader, s.consumer, s.current.came)
			if err := inner.read(plain, levelEncrypt); err != nil {
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
func (s *packetState) part(typ uint16, payload []byte, level securityLevel) error {
	var err error
	switch typ {
	case partHost:
		s.parts[0], err = readText(payload)
	case partPlugin, partPluginInstance, partType, partTypeInstance:
		s.parts[typ-partPlugin+1], err = readText(payload)
	case partTime, partTimeHR, partInterval, partIntervalHR, partSeverity:
		err = s.number(typ, payload)
	case partValues, partMessage:
		if level < s.reader.least {
			s.consumer.reject(unauthorized, errTooPlain)
			return nil
		}
		s.current.secured = level != levelNone
		if typ == partValues {
			s.values(payload)
		} else {
			s.message(payload)
		}
	}
	return err
}

// readText reads a text, which ends with a zero byte.
func readText(payload []byte) ([]byte, error) {
	end := bytes.IndexByte(payload, 0)
	if end < 0 {
		return nil, errors.New("a text does not end")
	}
	return payload[:end], nil
}

// number reads one of the parts that are a number.
func (s *packetState) number(typ uint16, payload []byte) error {
	if len(payload) != 8 {
		return fmt.Errorf("a number has %d bytes, not 8", len(payload))
	}
	n := binary.BigEndian.Uint64(payload)
	switch typ {
	case partSeverity:
		s.severity = n
	case partTime:
		s.current.time = unixTime(n, 0)
	case partTimeHR:
		s.current.time = unixTime(n>>30, fraction(n))
	case partInterval:
		s.current.interval = boundedInterval(n, 0)
	case partIntervalHR:
		s.current.interval = boundedInterval(n>>30, fraction(n))
	}
	return nil
}

// fraction gives the nanoseconds of a time that counts 2⁻³⁰ seconds.
func fraction(n uint64) time.Duration {
	const mask = 1<<30 - 1
	return time.Duration((n & mask) * uint64(time.Second) >> 30)
}

// unixTime is a time in Unix seconds; zero for one that means nothing.
func unixTime(seconds uint64, more time.Duration) time.Time {
	if seconds == 0 || seconds >= 1<<34 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(more))
}

// boundedInterval is a duration of at most maxInterval.
func boundedInterval(seconds uint64, more time.Duration) time.Duration {
	return min(time.Duration(min(seconds, 1<<32))*time.Second+more, maxInterval)
}

// values reads the values of a list: their number, their kinds, themselves.
func (s *packetState) values(b []byte) {
	const each = 1 + 8
	n := (len(b) - 2) / each
	if len(b) != 2+n*each || int(binary.BigEndian.Uint16(b)) != n || n == 0 {
		id := s.identifier()
		s.consumer.reject(malformed, fmt.Errorf("%s: %d bytes do not contain the values that they announce", &id, len(b)))
		return
	}
	l := &s.current
	l.values = l.values[:0]
	for i := range n {
		v, err := readNumber(b[2+i], b[2+n+8*i:])
		if err != nil {
			id := s.identifier()
			s.consumer.reject(malformed, fmt.Errorf("%s: %w", &id, err))
			return
		}
		l.values = append(l.values, v)
	}
	l.key = appendKey(l.key[:0], s.parts)
	s.consumer.list(l)
}

// readNumber reads a value from the beginning of b.
func readNumber(kind byte, b []byte) (dsValue, error) {
	v := dsValue{kind: dsType(kind)}
	switch v.kind {
	case dsGauge: // the one thing in little endian
		v.value = math.Float64frombits(binary.LittleEndian.Uint64(b))
	case dsDerive:
		v.value = float64(int64(binary.BigEndian.Uint64(b)))
	case dsCounter, dsAbsolute:
		v.value = float64(binary.BigEndian.Uint64(b))
	default:
		return v, fmt.Errorf("there is no data source type %d", kind)
	}
	return v, nil
}

// message reads the text of a notification, which makes it complete.
func (s *packetState) message(b []byte) {
	text, err := readText(b)
	severity, ok := severities[s.severity]
	id := s.identifier()
	switch {
	case err != nil:
		s.consumer.reject(malformed, fmt.Errorf("a notification of the host %q: %w", id.host, err))
	case !ok:
		s.consumer.reject(malformed, fmt.Errorf("a notification of the host %q: there is no severity %d", id.host, s.severity))
	default:
		s.consumer.notice(notification{identifier: id, time: s.current.time, severity: severity, message: string(text), secured: s.current.secured})
	}
}
