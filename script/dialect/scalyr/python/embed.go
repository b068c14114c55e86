// Package python carries the Python package that runs the monitors of Scalyr's
// agent without the agent: the host program, and a scalyr_agent of our own
// that the monitors import. PROTOCOL.md describes what the host reads and
// writes.
package python

import "embed"

// Files holds the package below the folder "package"; scriptbridge_host.py in
// there is the program to run. The patterns name the files one by one, since a
// folder's name would leave out those that begin with an underscore.
//
//go:embed package/*.py package/fallback/*.py package/scalyr_agent/*.py package/scalyr_agent/*/*.py
var Files embed.FS
