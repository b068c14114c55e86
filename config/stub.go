package config

import (
	"os"
	"reflect"
)

// Stand-ins until the real ones are merged.
type Error struct {
	Position
	Thing, Problem, Remedy string
}

func (e *Error) Error() string { return e.Thing + ": " + e.Problem }

func (p Position) String() string { return p.File }

func Load(string) (*Config, error)                   { return nil, os.ErrInvalid }
func ScriptFiles(string) ([]string, error)           { return nil, nil }
func NewScript(string, []string, Settings) *Script   { return nil }
func ReadEnvFile(string) (map[string]Secret, error)  { return nil, nil }
func (s Secret) Reveal() string                      { return string(s) }
func (s Settings) Equal(o Settings) bool { return reflect.DeepEqual(s, o) }
func (o Options) Decode(any) error                   { return nil }
func OptionsFrom(map[string]string) (Options, error) { return Options{}, nil }
func ParseCommand(string) ([]string, error)          { return nil, nil }
func (s *Script) YAML() string                       { return "" }
