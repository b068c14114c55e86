package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"scriptbridge/cli"
	"scriptbridge/internal/access"
	"scriptbridge/internal/winservice"
	"scriptbridge/web"
)

// serviceCommands are those that install the bridge as a service of Windows, and remove it;
// elsewhere there are none. args are those of this process.
func (f *flags) serviceCommands(app *kingpin.Application, args []string) []cli.Command {
	above := app.Command("service", "Install or remove the bridge as a service of Windows.")
	install := above.Command("install", "Install the service, which starts with Windows, and runs serve with the flags that are given here. The configuration is checked first.")
	web := f.serveFlags(install)
	install.Flag("account", `The account that the service runs as: its own by default, or LocalSystem, LocalService, NetworkService or a managed account such as DOMAIN\name$.`).Default(winservice.VirtualAccount).StringVar(&f.account)
	above.Command("remove", "Stop the service and remove it. The configuration, and what is in --storage.path, stay.")
	return []cli.Command{
		{Name: commandInstall, Run: func(ctx context.Context, e *cli.Env) error {
			f.serve.web = web
			return f.installService(ctx, app, args, e)
		}},
		{Name: commandRemove, Run: func(ctx context.Context, e *cli.Env) error {
			left, err := winservice.Remove(ctx)
			if err != nil {
				return fmt.Errorf("service: %w", err)
			}
			fmt.Fprint(e.Stdout, removedText(left.Args))
			return nil
		}},
	}
}

// installService installs the service, unless it would not start.
func (f *flags) installService(ctx context.Context, app *kingpin.Application, args []string, e *cli.Env) error {
	i, err := f.installation(app, args)
	if err != nil {
		return err
	}
	if err := f.obeyedProgram(i.Program); err != nil {
		return err
	}
	f.check.webConfig, f.check.addresses, f.check.storage, f.check.output = *f.serve.web.WebConfigFile, addressesOf(f.serve.web), f.serve.storage, "text"
	if err := check(ctx, f, e.Stdout, e.Stderr, e.Raw); err != nil {
		fmt.Fprintln(e.Stderr, "scriptbridge: the service was not installed, since it would not start")
		return err
	}
	made, err := winservice.Install(*i)
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	for _, lack := range made.Lacks {
		fmt.Fprintf(e.Stderr, "warning: this system does not know %s\n", lack)
	}
	fmt.Fprintf(e.Stdout, "installed the service %s, which runs as %s: %s\nstart it with: sc.exe start %[1]s\n", winservice.Name, i.Account, made.Command)
	if made.Kept != "" && i.Account != winservice.LocalSystem {
		fmt.Fprintf(e.Stdout, "the folder %s was there before: should %s not be able to write it, let it with: icacls.exe \"%[1]s\" /grant \"%[2]s:(OI)(CI)F\"\n", made.Kept, i.Account)
	}
	return nil
}

// installation is the service that the command line asks for.
func (f *flags) installation(app *kingpin.Application, args []string) (*winservice.Installation, error) {
	account, err := winservice.Account(f.account)
	if err != nil {
		return nil, err
	}
	location, err := web.NewLocation(f.serve.externalURL, f.serve.routePrefix)
	if err != nil {
		return nil, err
	}
	if _, err := access.NewGuard(f.serve.allowedHosts, location.External, nil); err != nil {
		return nil, fmt.Errorf("--web.allowed-host: %w", err)
	}
	i := &winservice.Installation{Account: account}
	if i.Program, err = os.Executable(); err != nil {
		return nil, err
	}
	if i.Args, err = serviceArgs(app, args); err != nil {
		return nil, err
	}
	if f.serve.storage != "" {
		i.Storage, err = filepath.Abs(f.serve.storage)
	}
	return i, err
}

// obeyedProgram says who could make another program of the service.
func (f *flags) obeyedProgram(file string) error {
	policy := f.trusted(false)
	if policy == nil {
		return nil // who may not install a service is told so
	}
	// Libraries are looked for beside it.
	if e := cmp.Or(policy.Fault(file), policy.Fault(filepath.Dir(file))); e != nil {
		return fmt.Errorf("service: %s may change %s, which the service would run, since %s (copy it into a folder that only administrators may change, such as C:\\Program Files\\scriptbridge, and install the service from there; or name %s with --config.trusted-path)", e.Who, file, e.State(), e.Component)
	}
	return nil
}

// serviceArgs are the arguments of a service that is installed by args. It starts in a folder
// of Windows' own, so that all paths are absolute.
func serviceArgs(app *kingpin.Application, args []string) (all []string, err error) {
	ctx, err := app.ParseContext(args)
	if err != nil {
		return nil, err
	}
	add := func(flag, value string) error {
		isPath := slices.Contains([]string{"config.file", "config.trusted-path", "storage.path", "web.config.file", "log.file"}, flag)
		if isPath && !(flag == "log.file" && (value == toStderr || value == toEventLog)) && value != "" {
			if value, err = filepath.Abs(value); err != nil {
				return err
			}
		}
		all = append(all, "--"+flag+"="+value)
		return nil
	}
	config := app.GetFlag("config.file").Model()
	if !slices.ContainsFunc(ctx.Elements, func(e *kingpin.ParseElement) bool { return isFlag(e, config.Name) }) {
		err = add(config.Name, config.Default[0])
	}
	for _, element := range ctx.Elements {
		clause, ok := element.Clause.(*kingpin.FlagClause)
		if !ok || element.Value == nil || isFlag(element, "account") {
			continue
		}
		switch model := clause.Model(); {
		case !model.IsBoolFlag():
			err = cmp.Or(err, add(model.Name, *element.Value))
		case *element.Value == "true":
			all = append(all, "--"+model.Name)
		default:
			all = append(all, "--no-"+model.Name)
		}
	}
	return all, err
}

func isFlag(element *kingpin.ParseElement, name string) bool {
	flag, ok := element.Clause.(*kingpin.FlagClause)
	return ok && flag.Model().Name == name
}

// removedText says what is left of a service that ran with args.
func removedText(args []string) string {
	value := func(flag string) string {
		i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, flag) })
		if i < 0 {
			return ""
		}
		return " " + strings.TrimPrefix(args[i], flag)
	}
	config, stay := "its configuration"+value("--config.file="), "stays as it is"
	if storage := value("--storage.path="); storage != "" {
		config, stay = config+" and its storage"+storage, "stay as they are"
	}
	return fmt.Sprintf("removed the service %s; %s %s\n", winservice.Name, config, stay)
}
