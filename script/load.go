package script

import (
	"errors"

	"scriptbridge/config"
	"scriptbridge/internal/trust"
	"scriptbridge/script/dialect"
)

// Loaded is a configuration and its scripts.
type Loaded struct {
	Config   *config.Config
	Scripts  []*Script
	Problems []error  // of the world: they cost one script each
	Made     []string // folders that were missing
}

// Load reads a configuration and what its scripts name, in dialects of a table.
// Its one side effect is asked for by makeFolders: folders of discover that the dialect itself makes.
// trusted is as in config.Load.
func Load(table dialect.Table, file string, makeFolders bool, trusted *trust.Policy) (*Loaded, error) {
	return LoadAfter(nil, table, file, makeFolders, trusted)
}

// LoadAfter is Load, where before, if it is not nil, was loaded before: see config.LoadAfter.
func LoadAfter(before *config.Config, table dialect.Table, file string, makeFolders bool, trusted *trust.Policy) (*Loaded, error) {
	cfg, err := config.LoadAfter(before, table.Config(), file, trusted)
	l := &Loaded{Config: cfg}
	if makeFolders && err == nil {
		l.Made, l.Problems = makeMissingFolders(table, cfg)
	}
	// Both find errors, and all are worth telling at once.
	scripts, problems, errDialects := Resolve(table, cfg)
	if err := errors.Join(err, errDialects); err != nil {
		return nil, err
	}
	l.Scripts, l.Problems = scripts, append(l.Problems, problems...)
	return l, nil
}
