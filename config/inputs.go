package config

import (
	"crypto/sha256"
	"reflect"

	"scriptbridge/internal/fsx"
)

// Inputs are what something at work was made of: a part of the configuration,
// and what the files that it names held then. A reload leaves alone what it
// would make of equal ones.
type Inputs struct {
	part  any
	files [sha256.Size]byte
}

// InputsOf reads the files, which takes as long as the disk, or the network,
// takes. part must not be changed any more. Empty names are left out.
func InputsOf(part any, files ...string) Inputs {
	return Inputs{part, fsx.Digest(files...)}
}

// Equal says whether the same comes of both.
func (i Inputs) Equal(o Inputs) bool {
	return i.files == o.files && reflect.DeepEqual(i.part, o.part)
}
