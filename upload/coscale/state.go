package coscale

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// forgetSource forgets what a source's differences are measured by.
func (u *Uploader) forgetSource(s *record.Source) error {
	prefix := stateKey("previous", sourceKey(s)) + "/"
	var keys []string
	err := u.spool.View(func(tx *spool.Tx) error {
		keys = nil
		for key := range tx.Each(prefix) {
			keys = append(keys, key)
		}
		return nil
	})
	if err == nil && len(keys) > 0 {
		err = u.spool.Update(func(tx *spool.Tx) error { return tx.Delete(keys...) })
	}
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	return nil
}

// stateKey makes a key of the spool's state. What is long is cut, with a hash
// of all of it.
func stateKey(parts ...string) string {
	const most = 200
	key := strings.Join(parts, "/")
	if len(key) <= most {
		return key
	}
	hash := sha256.Sum256([]byte(key))
	return key[:most] + "/" + hex.EncodeToString(hash[:])
}

// sourceKey is a source's part in keys: of one length, and without a slash.
func sourceKey(s *record.Source) string {
	hash := sha256.Sum256([]byte(string(s.Kind) + "/" + s.Name))
	return hex.EncodeToString(hash[:8])
}

// previousKey is where the previous value of a series is.
func previousKey(source, id string, f *fact, v *value) string {
	h := sha256.New()
	text := func(s string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	text(id)
	text(f.name)
	text(v.subject.Kind.String())
	text(v.subject.Name)
	for _, l := range v.labels {
		text(l.Name)
		text(l.Value)
	}
	return stateKey("previous", source) + "/" + string(h.Sum(nil)[:16])
}

// A previous value is kept with the time when it was put, so that those of
// series that are no more can be found.
func previousBytes(v float64, now time.Time) []byte {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
	return binary.LittleEndian.AppendUint64(b, uint64(now.Unix()))
}

func readPrevious(b []byte) (v float64, there bool) {
	if len(b) != 16 {
		return 0, false
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), true
}

func previousTime(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b[8:])) }
