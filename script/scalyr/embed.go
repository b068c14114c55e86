// Package scalyr holds the Python package that runs Scalyr monitors.
package scalyr

import "embed"

// Files are the package, below the folder package.
//
//go:embed all:package
var Files embed.FS
