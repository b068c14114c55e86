package cli

import (
	"errors"
	"strings"

	"scriptbridge/config"
	"scriptbridge/internal/joined"
	"scriptbridge/status"
)

// Problems are errors or warnings as --output=json has them.
func Problems(errs ...error) (list []status.Problem) {
	for _, err := range joined.Split(errors.Join(errs...)) {
		var p status.Problem
		wrong, isError := errors.AsType[*config.Error](err)
		located, isLocated := errors.AsType[*config.Located](err)
		switch {
		case isLocated && located.Error() == err.Error():
			p = problem(located.Err)
			p.File, p.Line, p.Thing = located.File, located.Line, located.Thing
		case isError && wrong.Error() == err.Error():
			p = status.Problem{Message: wrong.Problem, Remedy: wrong.Remedy}
			if wrong.Remedy == "" {
				p = problem(errors.New(wrong.Problem))
			}
			p.File, p.Line, p.Thing = wrong.File, wrong.Line, wrong.Thing
		default:
			p = problem(err)
		}
		p.Text = err.Error()
		list = append(list, p)
	}
	return list
}

// problem is an error whose remedy is a part of its text: what stands in
// parentheses at the end.
func problem(err error) status.Problem {
	text := err.Error()
	depth := 0
	for i := len(text) - 1; i >= 0 && strings.HasSuffix(text, ")"); i-- {
		switch text[i] {
		case ')':
			depth++
		case '(':
			depth--
		}
		if depth == 0 {
			if before, ok := strings.CutSuffix(text[:i], " "); ok && before != "" {
				return status.Problem{Message: before, Remedy: text[i+1 : len(text)-1]}
			}
			break
		}
	}
	return status.Problem{Message: text}
}
