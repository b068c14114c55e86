package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"

	"github.com/davecgh/go-spew/spew"

	"scriptbridge/internal/fsx"
)

// Fingerprint tells apart what is made of parts of a configuration, and of what
// files hold: where it is the same, a reload leaves alone what is at work. It
// reads the files, which takes as long as the disk, or the network, takes. Empty
// names are left out, and one that stands for a variable is its value.
func Fingerprint(files []string, parts ...any) string {
	sum := sha256.New()
	for _, file := range files {
		if name, ok := variableOf(file); ok {
			fmt.Fprintf(sum, "%q %q\n", name, os.Getenv(name))
		}
	}
	fmt.Fprintf(sum, "%x\n", fsx.Digest(slices.DeleteFunc(slices.Clone(files), func(file string) bool { return !IsFile(file) })...))
	everything.Fdump(sum, parts...)
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// everything writes values with all that they point to, and no address.
var everything = spew.ConfigState{Indent: " ", SortKeys: true, SpewKeys: true, DisableMethods: true, DisablePointerAddresses: true, DisableCapacities: true}
