//go:build !linux

package fsx

const largeFile = 0
