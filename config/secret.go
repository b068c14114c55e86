package config

import (
	"fmt"
	"io"

	"scriptbridge/config/internal/yamltree"
)

// Secret is a text that is shown nowhere: it prints as <secret> under every
// verb of fmt, in JSON and in YAML. Only in an unexported field of a printed
// struct can fmt not see its methods: do not print such structs.
type Secret string

// Reveal gives the text itself.
func (s Secret) Reveal() string { return string(s) }

// String gives <secret>.
func (Secret) String() string { return yamltree.Hidden }

// Format writes <secret>, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, yamltree.Hidden) }

// MarshalText gives <secret>: to encoding/json and to YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(yamltree.Hidden), nil }
