package takeover

import (
	"path"
	"slices"
	"strings"

	"scriptbridge/config"
	"scriptbridge/takeover/host"
)

// findNodeExporter finds the folders of node_exporter's textfile collector. What is
// in them is on Prometheus's page already, so that none is read unless the command
// line names it.
func findNodeExporter(f *finding) {
	for _, s := range f.services("node_exporter", "node-exporter", "prometheus-node-exporter") {
		folders := host.Flags(s.Words, "--collector.textfile.directory")
		// What Debian's package has where nothing is said.
		if own := "/var/lib/prometheus/node-exporter"; len(folders) == 0 && path.Base(s.Words[0]) == "prometheus-node-exporter" && f.Host.Exists(own) {
			folders = []string{own}
		}
		for _, pattern := range folders {
			f.textfileFolders(s, pattern)
		}
	}
	for _, folder := range f.From["node_exporter"] {
		if f.enter(folder) {
			f.files = append(f.files, folder)
			f.textfileFolder(config.Position{File: folder}, folder)
		}
	}
}

// textfileFolders names the folders that a flag of node_exporter names.
func (f *finding) textfileFolders(s host.Service, pattern string) {
	if pattern == "" {
		return
	}
	if !path.IsAbs(pattern) && s.Dir != "" {
		pattern = path.Join(s.Dir, pattern)
	}
	folders := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		folders = f.Host.Glob(pattern)
	}
	for _, folder := range folders {
		if path.IsAbs(folder) && !f.enter(folder) {
			continue
		}
		if !slices.Contains(f.files, s.File) {
			f.files = append(f.files, s.File)
		}
		e := f.textfileFolder(config.Position{File: s.File}, folder)
		if !path.IsAbs(folder) {
			e.refuse("the path %s is relative to a folder that is not known", folder)
		}
		e.refuse("node_exporter shows the files of %s, and Prometheus would have their series twice (take the folder from node_exporter first, then remove the #)", folder)
	}
}

// textfileFolder is an entry that reads a folder.
func (f *finding) textfileFolder(at config.Position, folder string) *entry {
	e := f.add(scripts, at)
	e.what, e.name = folder, cleanName(path.Base(folder))
	return e.setText("name", e.name).setText("dialect", "textfile").setText("directory", folder)
}
