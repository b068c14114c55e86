// Command platforms says whether all packages of a module, their tests and what they
// import have right types on each of a list of platforms, such as linux-armv7. That is
// ten times faster than to compile them, and finds what differs between platforms: what is not
// there, and what has another size.
package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: platforms FOLDER PLATFORM...")
		os.Exit(2)
	}
	root, failed := exec.Command("go", "env", "GOROOT").Output()
	parse := parserOf(strings.TrimSpace(string(root)) + "/src/")
	for _, platform := range os.Args[2:] {
		n, err := check(os.Args[1], platform, parse)
		if err != nil {
			failed = err
			fmt.Fprintf(os.Stderr, "%s: %v\n", platform, err)
			continue
		}
		fmt.Printf("%s: the types of %d packages are right\n", platform, n)
	}
	if failed != nil {
		os.Exit(1)
	}
}

type parseFunc func(*token.FileSet, string, []byte) (*ast.File, error)

// check gives the number of packages that were looked at, and all that is wrong in them.
func check(folder, platform string, parse parseFunc) (n int, err error) {
	system, processor, ok := strings.Cut(platform, "-")
	if !ok {
		return 0, errors.New("a platform is a system and a processor, as in linux-armv7")
	}
	env := append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+processor)
	if version, ok := strings.CutPrefix(processor, "armv"); ok {
		env = append(env, "GOARCH=arm", "GOARM="+version)
	}
	found, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedModule | packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo,
		Dir: folder, Env: env, Tests: true, ParseFile: parse,
	}, "./...")
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, errors.New("no packages")
	}
	seen := make(map[string]bool) // a package is there with its tests and without
	packages.Visit(found, nil, func(p *packages.Package) {
		if p.Module == nil && !strings.HasSuffix(p.ID, ".test") {
			return // the standard library's
		}
		n++
		for _, e := range p.Errors {
			if text := e.Error(); !seen[text] {
				seen[text] = true
				err = errors.Join(err, errors.New(text))
			}
		}
	})
	return n, err
}

// parserOf leaves out what is in the functions of the files below root: the standard
// library's are good.
func parserOf(root string) parseFunc {
	return func(set *token.FileSet, name string, src []byte) (*ast.File, error) {
		file, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution)
		if err == nil && strings.HasPrefix(name, root) {
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					f.Body = nil
				}
			}
		}
		return file, err
	}
}
