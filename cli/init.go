package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/joined"
	"scriptbridge/internal/texts"
	"scriptbridge/internal/trust"
	"scriptbridge/script"
	"scriptbridge/script/dialect/all"
	"scriptbridge/takeover"
	"scriptbridge/takeover/host"
)

// initialize is the command init, and its flags.
type initialize struct {
	*Env
	root   string
	from   []string
	tools  []string
	output string
}

// Init adds init to app.
func Init(app *kingpin.Application) Command {
	i := new(initialize)
	cmd := app.Command("init", "Write a configuration out of those of other tools on this machine: scripts and plugins that they run, and what is sent to them. Nothing is run, and nothing is overwritten.")
	cmd.Flag("root", "Look at the machine whose / is this folder, such as a mounted image.").Default("/").PlaceHolder("DIR").StringVar(&i.root)
	cmd.Flag("from", "A further file of a tool, as TOOL=FILE; repeatable. Tools are "+toolNames()+".").PlaceHolder("TOOL=FILE").StringsVar(&i.from)
	cmd.Flag("tool", "Look for this tool alone; repeatable.").PlaceHolder("TOOL").StringsVar(&i.tools)
	cmd.Flag("output", "The file to write; - prints, without secrets. By default that of --config.file.").PlaceHolder("FILE").StringVar(&i.output)
	return Command{Name: "init", Run: func(_ context.Context, e *Env) error {
		i.Env = e
		if i.output == "" {
			i.output = e.ConfigFile
		}
		return i.run()
	}}
}

func toolNames() string {
	var names []string
	for _, t := range takeover.Tools {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

func isTool(name string) bool {
	return slices.ContainsFunc(takeover.Tools, func(t takeover.Tool) bool { return t.Name == name })
}

func (i *initialize) run() error {
	if _, err := os.Lstat(i.output); err == nil && i.output != "-" {
		return i.inTheWay()
	}
	o, err := i.options()
	if err != nil {
		return err
	}
	result, err := takeover.Run(o)
	switch {
	case err != nil:
		return err
	case result == nil:
		return fmt.Errorf("nothing of the tools that init knows is in %s, so there is nothing to write; to begin with, one line will do: scripts: [{command: /path/to/script}] (files at other places are named by --from=TOOL=FILE)", i.root)
	case i.output == "-":
		fmt.Fprint(i.Stderr, texts.Visible(result.Report()))
		fmt.Fprint(i.Stdout, result.Text)
		return nil
	}
	if err := i.write(result.Text); err != nil {
		return err
	}
	fmt.Fprint(i.Stdout, texts.Visible(result.Report()))
	fmt.Fprintf(i.Stdout, "%s is written, for its owner alone\n", i.output)
	if i.Trusted != nil {
		if fault := i.Trusted.Fault(i.output); fault != nil {
			fmt.Fprintf(i.Stdout, "warning: %s %s (%s)\n", i.output, fault.Obeyed(), fault.Remedy())
		}
	}
	return nil
}

func (i *initialize) inTheWay() error {
	return fmt.Errorf("%s exists already, and is not overwritten (--output=FILE writes another file, --output=- prints)", i.output)
}

// options says what is looked at.
func (i *initialize) options() (o takeover.Options, err error) {
	h, err := host.New(i.root)
	if err != nil {
		return o, fmt.Errorf("--root=%s: %w", i.root, err)
	}
	o = takeover.Options{Host: h, From: make(map[string][]string), Only: i.tools, AsRoot: i.Trusted != nil, Hide: i.output == "-"}
	if i.Trusted != nil {
		o.Trusted = i.Trusted.Except
	}
	o.Examine = func(text string) (string, []error) { return i.examine(text, h.IsOther()) }
	for _, tool := range i.tools {
		if !isTool(tool) {
			return o, fmt.Errorf("--tool=%s: %q is no tool that init knows (%s)", tool, tool, toolNames())
		}
	}
	for _, from := range i.from {
		tool, file, ok := strings.Cut(from, "=")
		switch {
		case !ok || file == "":
			return o, fmt.Errorf("--from=%s names no file (write it like --from=nrpe=/opt/nrpe.cfg)", from)
		case !isTool(tool):
			return o, fmt.Errorf("--from=%s: %q is no tool that init knows (%s)", from, tool, toolNames())
		}
		if file = filepath.ToSlash(file); !strings.HasPrefix(file, "/") && !h.IsOther() {
			here, err := filepath.Abs(file)
			if err != nil {
				return o, err
			}
			file = filepath.ToSlash(here)
		}
		if !h.Exists(file) {
			return o, fmt.Errorf("--from=%s: there is no such file", from)
		}
		o.From[tool] = append(o.From[tool], file)
	}
	return o, nil
}

// examine holds a text against the program's own reading of configurations, and,
// on this machine, against what there is.
func (i *initialize) examine(text string, other bool) (file string, errs []error) {
	folder, err := os.MkdirTemp("", "scriptbridge-init-")
	if err != nil {
		return "", []error{err}
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file = filepath.Join(folder, "scriptbridge.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return file, []error{err}
	}
	if !other {
		return file, i.Examine(file, i.exceptTemporary(file))
	}
	cfg, err := config.Load(all.Dialects.Config(), file, nil)
	// What they name is on the other machine.
	cfg.Discover = slices.DeleteFunc(cfg.Discover, func(d *config.Discover) bool { return d.AgentConfig != "" })
	_, _, errOptions := script.Resolve(all.Dialects, cfg)
	return file, joined.Split(errors.Join(err, errOptions))
}

// exceptTemporary is the policy for a file of our own, wherever temporary files
// are: who may change that folder does not change what is written in the end.
func (i *initialize) exceptTemporary(file string) *trust.Policy {
	if i.Trusted == nil {
		return nil
	}
	p := i.Trusted.ExceptUpTo(file)
	return &p
}

// write writes the configuration, for its owner alone: it may have secrets.
func (i *initialize) write(text string) error {
	f, err := fsx.OS{}.OpenFile(i.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return i.inTheWay()
	}
	if err != nil {
		return fmt.Errorf("the configuration cannot be written: %w (--output=FILE writes another file)", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, fsx.OS{}.Sync(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(i.output))
	}
	return nil
}
