package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/texts"
	dialects "scriptbridge/script/dialect/all"
	"scriptbridge/upload"
	"scriptbridge/upload/all"
	"scriptbridge/upload/spool"
)

// uploads are the commands about what was refused, and their flags.
type uploads struct {
	*Env
	storage string
	name    string
}

// Uploads adds uploads refused and uploads retry to app, as Try does try.
func Uploads(app *kingpin.Application, hints Hints) []Command {
	u := new(uploads)
	cmd := app.Command("uploads", "Show or repeat what uploads have set aside because it was refused.")
	cmd.Flag("storage.path", "The folder that serve gets with this flag.").Required().StringVar(&u.storage)
	cmd.Command("refused", "List what was refused, by upload and reason.")
	retry := cmd.Command("retry", "Put what was refused back into the queues; the bridge sends it when it is started.")
	retry.Arg("name", "The upload: coscale, instrumental, remote_write or remote_write_NAME; all by default.").HintAction(hints.uploads).StringVar(&u.name)
	return []Command{
		{Name: "uploads refused", Run: func(ctx context.Context, e *Env) error {
			u.Env = e
			_, err := fsx.Do(ctx, func() (any, error) { return nil, u.list() })
			return err
		}},
		{Name: "uploads retry", Run: func(_ context.Context, e *Env) error {
			u.Env = e
			return u.retry() // not by halves
		}},
	}
}

// uploadsFolder opens that of a storage folder which must be there: a wrong path
// shall not make one.
func uploadsFolder(storage string) (fsx.Folder, string, error) {
	path := filepath.Join(storage, "uploads")
	whole, err := fsx.OS{}.Within(storage)
	if err == nil {
		defer whole.Close()
		var folder fsx.Folder
		if folder, err = whole.Within(path); err == nil {
			return folder, path, nil
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("storage %s: no upload has been there; give the --storage.path that serve has", storage)
	}
	return nil, "", err
}

// list prints what is set aside: how much, and why. It only reads, so that
// the bridge may run meanwhile.
func (u *uploads) list() error {
	folder, path, err := uploadsFolder(u.storage)
	if err != nil {
		return err
	}
	defer folder.Close()
	for _, name := range uploadNames(path) {
		if err := listRefused(u.Stdout, name, folder, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// uploadNames are those of the types of which there is one, and of the others' uploads that
// have a spool in a folder.
func uploadNames(folder string) (names []string) {
	files, _ := os.ReadDir(folder) // without it, what each of them lacks is told below
	for _, t := range all.Types {
		if !t.Several {
			names = append(names, t.Name)
			continue
		}
		for _, f := range files {
			if n := f.Name(); (n == t.Name || strings.HasPrefix(n, t.Name+"_")) && !strings.Contains(n, ".") {
				names = append(names, n)
			}
		}
	}
	return names
}

// listRefused prints what is set aside beside one spool.
func listRefused(stdout io.Writer, name string, disk fsx.FS, path string) error {
	type reason struct {
		text  string
		lines int
		last  time.Time
	}
	var reasons []*reason
	byText := make(map[string]*reason)
	total := 0
	err := spool.ReadAside(disk, path, func(line spool.AsideLine) error {
		total++
		r := byText[line.Error]
		if r == nil {
			r = &reason{text: line.Error}
			byText[line.Error] = r
			reasons = append(reasons, r)
		}
		r.lines++
		r.last = line.Time
		return nil
	})
	if err != nil {
		return err
	}
	if total == 0 {
		fmt.Fprintf(stdout, "%s: nothing was refused\n", name)
		return nil
	}
	fmt.Fprintf(stdout, "%s: %s\n", name, texts.Count(total, "refusal"))
	slices.SortStableFunc(reasons, func(a, b *reason) int { return cmp.Compare(b.lines, a.lines) })
	for _, r := range reasons[:min(len(reasons), mostReasons)] {
		if r.text == "" {
			fmt.Fprintf(stdout, "  %s that cannot be read\n", texts.Count(r.lines, "line"))
			continue
		}
		fmt.Fprintf(stdout, "  %d, the last at %s: %s\n", r.lines, r.last.UTC().Format("2006-01-02 15:04:05Z"), texts.Printable(r.text))
	}
	if n := len(reasons) - mostReasons; n > 0 {
		fmt.Fprintf(stdout, "  and %d other reasons\n", n)
	}
	return nil
}

// mostReasons bounds what list prints of one upload.
const mostReasons = 20

// retry puts what was set aside back into the queues. It takes the
// storage folder, so that no bridge uses them meanwhile.
func (u *uploads) retry() error {
	folder, _, err := uploadsFolder(u.storage)
	if err != nil {
		return err
	}
	folder.Close()
	cfg, err := config.Load(dialects.Dialects.Config(), u.ConfigFile, u.Trusted)
	if err != nil {
		return err
	}
	wanted := slices.DeleteFunc(all.Types.Configured(&cfg.Upload), func(c upload.Configured) bool { return u.name != "" && u.name != c.Name })
	known := func(t upload.Type) bool {
		return t.Name == u.name || t.Several && strings.HasPrefix(u.name, t.Name+"_")
	}
	switch {
	case len(wanted) > 0:
	case u.name == "":
		return fmt.Errorf("%s has no upload", u.ConfigFile)
	case slices.ContainsFunc(all.Types, known):
		return fmt.Errorf("%s has no upload.%s, which would send it", u.ConfigFile, u.name)
	default:
		return fmt.Errorf("there is no upload %q; there are coscale, instrumental and remote_write", u.name)
	}
	storage, err := u.OpenStorage(u.storage, u.Trusted)
	if err != nil {
		return fmt.Errorf("%w; what was refused is put back only while no bridge runs there", err)
	}
	defer storage.Release()
	for _, c := range wanted {
		path, err := storage.Spool(c.Name)
		if err != nil {
			return err
		}
		s, err := spool.Open(spool.Options{FS: storage.Disk, Path: path, MaxBytes: c.MaxBytes, Logger: u.Logger()})
		if err != nil {
			return err
		}
		back, left, err := s.Restore(c.Complete)
		if err := errors.Join(err, s.Close()); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		fmt.Fprintf(u.Stdout, "%s: %s queued again", c.Name, texts.Count(back, "item"))
		if left > 0 {
			fmt.Fprintf(u.Stdout, "; %s cannot be, and stay in %s.refused", texts.Count(left, "line"), path)
		}
		fmt.Fprintln(u.Stdout)
	}
	return nil
}
