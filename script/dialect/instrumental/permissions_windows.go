package instrumental

import (
	"fmt"
	"path/filepath"

	"scriptbridge/internal/trust"
	"scriptbridge/script/process"
)

// checkOwner says why a script must not be run, and what to do: its folder or its file
// belongs to somebody else, or others may change it. There are no modes here, so that both
// settings of the option permissions mean this. Nothing is asked to change the folder, in
// which others' files may lie.
func checkOwner(file string, _ permissions, _ *process.Account) (remedy string, fault error) {
	const aside = "move the script to a folder of its own that nobody else may write"
	if e, err := trust.Others(filepath.Dir(file)); err != nil || e != nil {
		return aside, fmt.Errorf("its folder %w", faultOf(e, err))
	}
	e, err := trust.Others(file)
	switch {
	case err != nil:
		return "see that it is there", err
	case e == nil:
		return "", nil
	case e.Foreign:
		return "let who runs scriptbridge have a copy of the script in a folder of its own that nobody else may write", e
	}
	return e.Command(), e
}

func faultOf(e *trust.Error, err error) error {
	if err != nil {
		return err
	}
	return e
}
