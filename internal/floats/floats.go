// Package floats orders floating-point numbers as whole ones.
package floats

import "math"

// Key maps numbers so that the order of the keys is that of the numbers, and
// both zeros have the same one. NaNs stand at the ends.
func Key(v float64) uint64 {
	bits := math.Float64bits(v + 0) // -0 is 0
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

// FromKey is the reverse of Key.
func FromKey(key uint64) float64 {
	if key>>63 == 1 {
		return math.Float64frombits(key &^ (1 << 63))
	}
	return math.Float64frombits(^key)
}
