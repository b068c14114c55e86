package dialect

import (
	"path/filepath"
	"time"

	"scriptbridge/config"
)

// Script is a script as its dialect sees it.
type Script struct {
	// Script is the configuration's; its zero values are filled in from
	// `global` and the dialect, but for Interval and Timeout, which stay 0
	// where the configuration is silent, so that a script may declare them.
	*config.Script
	// FallbackInterval and FallbackTimeout hold when neither the
	// configuration nor the script says anything.
	FallbackInterval, FallbackTimeout time.Duration
	File                              string // the script's own file; empty when it is not found
	Dir                               string // the working directory
}

// ProgramName is what people call the script's own file.
func (s *Script) ProgramName() string {
	if s.File == "" {
		return s.Command[0]
	}
	return filepath.Base(s.File)
}
