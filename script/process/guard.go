package process

import "scriptbridge/internal/trust"

// Guard says what may be run, as whom, and whose files root obeys.
type Guard struct {
	RunAs     *Account // nil: as ourselves
	Policy    trust.Policy
	Path, Dir string // where env looks for programs, and where they run
}
