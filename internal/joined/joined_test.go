package joined

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	sentence := fmt.Errorf("%w; it cannot be put aside: %w", a, b)
	half := fmt.Errorf("%w, which %w", a, nil)
	around := fmt.Errorf("around: %w", errors.Join(a, b))
	for _, tt := range []struct {
		err  error
		want []error
	}{
		{nil, nil},
		{a, []error{a}},
		{errors.Join(a), []error{a}},
		{errors.Join(a, errors.Join(b, c)), []error{a, b, c}},
		{errors.Join(errors.Join(a, b), c), []error{a, b, c}},
		{sentence, []error{sentence}},
		{errors.Join(sentence, c), []error{sentence, c}},
		{half, []error{half}},
		{around, []error{around}},
	} {
		if got := Split(tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%v is split into %q, want %q", tt.err, got, tt.want)
		}
	}
}
