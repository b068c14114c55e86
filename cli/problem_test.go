package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/status"
)

// An error is taken apart into where, what and what to do, whoever made it.
func TestProblems(t *testing.T) {
	at := config.Position{File: "a.yml", Line: 3}
	got := Problems(
		&config.Error{Position: at, Thing: "script \"a\"", Problem: "interval 0s is too short", Remedy: "write 1s or more"},
		&config.Error{Position: config.Position{File: "a.yml"}, Problem: "nothing is here (neither (x) nor y)"},
		at.Wrap("discover", errors.New("there is no folder (a) (make it (by mkdir))")),
		errors.Join(errors.New("(all in parentheses)"), nil, fmt.Errorf("around: %w", at.Wrap("", errors.New("f(x)")))),
		errors.New("open ) and (closed)"),
	)
	want := []status.Problem{
		{File: "a.yml", Line: 3, Thing: "script \"a\"", Message: "interval 0s is too short", Remedy: "write 1s or more", Text: "a.yml:3: script \"a\": interval 0s is too short (write 1s or more)"},
		{File: "a.yml", Message: "nothing is here", Remedy: "neither (x) nor y", Text: "a.yml: nothing is here (neither (x) nor y)"},
		{File: "a.yml", Line: 3, Thing: "discover", Message: "there is no folder (a)", Remedy: "make it (by mkdir)", Text: "a.yml:3: discover: there is no folder (a) (make it (by mkdir))"},
		{Message: "(all in parentheses)", Text: "(all in parentheses)"},
		{Message: "around: a.yml:3: f(x)", Text: "around: a.yml:3: f(x)"},
		{Message: "open ) and", Remedy: "closed", Text: "open ) and (closed)"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := Problems(); got != nil {
		t.Errorf("%v", got)
	}
}
