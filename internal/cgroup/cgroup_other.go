//go:build !linux

package cgroup

// Tree is not to be had here.
type Tree struct{}

// Open fails.
func Open() (*Tree, error) { return nil, ErrUnavailable }
