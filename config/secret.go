package config

import (
	"fmt"
	"io"
)

// Secret is a text that is shown nowhere: it prints as <secret> under every
// verb of fmt, in JSON and in YAML. Only in an unexported field of a printed
// struct can fmt not see its methods: do not print such structs.
type Secret string

const hidden = "<secret>"

// Reveal gives the text itself.
func (s Secret) Reveal() string { return string(s) }

// String gives <secret>.
func (Secret) String() string { return hidden }

// Format writes <secret>, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText gives <secret>: to encoding/json and to YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
