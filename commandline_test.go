package main

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
)

// deaf is where nobody reads any more, as behind `| head`.
type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// Who reads a part of the help has read what he wanted.
func TestHelpUnread(t *testing.T) {
	for _, args := range [][]string{
		{"--help"}, {"--help-long"}, {"help"}, {"help", "try"}, {"serve", "--help"}, {"status", "-h"}, {"--version"},
		{"--help-man"},
	} {
		if err := run(t.Context(), args, deaf{}, io.Discard); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"--help"}, {"--help-man"}} {
		if err := run(t.Context(), args, full, io.Discard); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%q to a full disk: %v", args, err)
		}
	}
}
