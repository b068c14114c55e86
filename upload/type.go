// Package upload keeps what the sources say until other services have it: a Set
// of uploads (set.go), each with a spool of its own on the disk. A type of
// upload is a folder here, which says in a Type what it is (type.go), and a
// line in the table of package all. upload.go opens the spool and has the sink
// at work, silent.go goes on where the disk does not answer, metrics.go tells
// how all are.
package upload

import (
	"cmp"
	"context"

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
	// Configured are those that the configuration asks for: at most one, where
	// Settings have no name of their own.
	Configured func(*config.Upload) []*Settings
	// Several says that there may be more than one, of which each but one has a name of its
	// own: the type's and a word, with _ between.
	Several bool
	// Complete makes an entry of what a former version set aside without one.
	Complete func(*spool.Aside) error
}

// Settings are an upload as it is configured. They are not changed any more.
type Settings struct {
	Name        string   // what it is called; empty: as its type
	Section     any      // of the configuration: another one makes another upload
	Files       []string // all that it reads; empty names are left out
	SecretFiles []string // those of them that its secrets are in; likewise
	MaxBytes    int64    // of its spool
	// Shown says that it sends what the page shows: its batches have record.Batch.Shown,
	// and it gets only those of Shows.
	Shown bool
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
	Page   Page // nil where there is none, as in a command that ends by itself
}

// Page is what a scrape would find. All of it is safe for concurrent use, and none of
// it waits for longer than a page takes to be rendered.
type Page interface {
	// Sources are those that the page has something of.
	Sources() []*record.Source
	// Shown is what it has of one now; mentioned: only what its last batch spoke of.
	Shown(s *record.Source, mentioned bool) *record.Shown
	// Process is what it has of the whole process.
	Process() *record.Shown
}

// fingerprint tells apart what is made of settings. It reads the files.
func (s *Settings) fingerprint() string { return config.Fingerprint(s.Files, s.Section) }

// Types is a table of types.
type Types []Type

// Names are those of the uploads that are configured, in the order of the table.
func (all Types) Names(cfg *config.Upload) (names []string) {
	for _, c := range all.Configured(cfg) {
		names = append(names, c.Name)
	}
	return names
}

// Configured is one upload that the configuration asks for, with its type.
type Configured struct {
	Type
	*Settings
	Name string
}

// Configured are all of them, in the order of the table.
func (all Types) Configured(cfg *config.Upload) (uploads []Configured) {
	for _, t := range all {
		for _, s := range t.Configured(cfg) {
			uploads = append(uploads, Configured{t, s, cmp.Or(s.Name, t.Name)})
		}
	}
	return uploads
}

// Fingerprint tells apart what the configured uploads would be made of. It reads
// their files.
func (all Types) Fingerprint(cfg *config.Upload) string {
	var parts []any
	for _, c := range all.Configured(cfg) {
		parts = append(parts, c.Name, c.fingerprint())
	}
	return config.Fingerprint(nil, parts...)
}

// Check looks for what keeps uploads from working, and touches neither the
// storage nor the network.
func (all Types) Check(cfg *config.Config) (problems []error) {
	for _, c := range all.Configured(&cfg.Upload) {
		var errs []error
		for _, file := range c.SecretFiles {
			if file != "" {
				_, err := config.SecretOf(file)()
				errs = append(errs, err)
			}
		}
		_, err := c.New(Env{Logger: log.NewNopLogger()})
		for _, err := range append(errs, err) {
			if err != nil {
				problems = append(problems, cfg.At["upload."+c.Name].Wrap("upload: "+c.Name, err))
			}
		}
	}
	return problems
}
