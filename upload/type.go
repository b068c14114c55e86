// Package upload keeps what the sources say until other services have it: a Set
// of uploads (set.go), each with a spool of its own on the disk. A type of
// upload is a folder here, which says in a Type what it is (type.go), and a
// line in the table of package all. upload.go opens the spool and has the sink
// at work, silent.go goes on where the disk does not answer, metrics.go tells
// how all are.
package upload

import (
	"context"
	"errors"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// Uploader is a sink whose batches wait in a spool until they are sent.
type Uploader interface {
	record.Sink
	// Run sends until ctx ends.
	Run(ctx context.Context) error
	Stats() spool.Stats
}

// Type is a type of upload: what it is called, and what makes one.
type Type struct {
	Name string
	// Configured is what the configuration asks for; nil for no such upload.
	Configured func(*config.Upload) *Settings
	// Complete makes an entry of what a former version set aside without one.
	Complete func(*spool.Aside) error
}

// Settings are an upload as it is configured. They are not changed any more.
type Settings struct {
	Section    any      // of the configuration: another one makes another upload
	Files      []string // all that it reads; empty names are left out
	SecretFile string   // the one of them that its secret is in
	MaxBytes   int64    // of its spool
	// New makes its sink. It reads the files, but neither the spool nor the
	// network.
	New func(Env) (Uploader, error)
}

// Env is what an Uploader gets of the program.
type Env struct {
	// Bridge is what this bridge alone calls itself, for protocols that have room
	// for that.
	Bridge string
	Spool  *spool.Spool // the caller closes it
	Logger log.Logger
}

// fingerprint tells apart what is made of settings. It reads the files.
func (s *Settings) fingerprint() string { return config.Fingerprint(s.Files, s.Section) }

// Types is a table of types.
type Types []Type

// Names are those of the uploads that are configured, in the order of the table.
func (all Types) Names(cfg *config.Upload) (names []string) {
	for _, t := range all {
		if t.Configured(cfg) != nil {
			names = append(names, t.Name)
		}
	}
	return names
}

// Fingerprint tells apart what the configured uploads would be made of. It reads
// their files.
func (all Types) Fingerprint(cfg *config.Upload) string {
	var parts []any
	for _, t := range all {
		if s := t.Configured(cfg); s != nil {
			parts = append(parts, t.Name, s.fingerprint())
		}
	}
	return config.Fingerprint(nil, parts...)
}

// Check looks for what keeps uploads from working, and touches neither the
// storage nor the network.
func (all Types) Check(cfg *config.Config) (problems []error) {
	for _, t := range all {
		s := t.Configured(&cfg.Upload)
		if s == nil {
			continue
		}
		_, err := config.SecretOf(s.SecretFile)()
		if _, errNew := s.New(Env{Logger: log.NewNopLogger()}); errNew != nil {
			err = errors.Join(err, errNew)
		}
		if err != nil {
			problems = append(problems, cfg.At["upload."+t.Name].Wrap("upload: "+t.Name, err))
		}
	}
	return problems
}
