package main

import (
	"bytes"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The changelog begins with what is not released; below it are the releases, each
// with a number and a day, newest first. The chart is that of the newest.
func TestChangelog(t *testing.T) {
	headings := regexp.MustCompile(`(?m)^## .*`).FindAllString(read(t, "CHANGELOG.md"), -1)
	if len(headings) < 2 || headings[0] != "## [Unreleased]" {
		t.Fatalf("the changelog does not begin with [Unreleased] and a release: %q", headings)
	}
	release := regexp.MustCompile(`^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$`)
	var days []string
	for _, h := range headings[1:] {
		m := release.FindStringSubmatch(h)
		if m == nil {
			t.Fatalf("%q is not like ## [1.2.3] - 2026-01-31", h)
		}
		days = append(days, m[2])
	}
	if !slices.IsSortedFunc(days, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("the releases are not newest first: %q", headings)
	}
	newest := release.FindStringSubmatch(headings[1])[1]
	if chart := read(t, "packaging/chart/Chart.yaml"); !strings.Contains(chart, "\nappVersion: \""+newest+"\"\n") {
		t.Errorf("the chart is not that of %s:\n%s", newest, chart)
	}
}

// What a release says of itself is its section of the changelog, which it must have.
func TestReleaseNotes(t *testing.T) {
	makefile, err := filepath.Abs("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "CHANGELOG.md"), "# Changelog\n\n## [Unreleased]\n\n- new\n\n## [1.10.0] - 2026-02-01\n\n- ten\n\n### Fixed\n\n- ten, too\n\n## [1.1.0] - 2026-01-01\n\n- one\n", 0o644)
	for version, want := range map[string]string{
		"1.1.0": "- one\n",
		// One is the beginning of the other.
		"1.10.0":          "- ten\n\n### Fixed\n\n- ten, too\n\n",
		"1.10.0-rc.1":     "- new\n\n",
		"1.10.0-3-gabcde": "- new\n\n",
		"1234567":         "- new\n\n", // without a tag, a commit
		"":                "- new\n\n",
		"1.1":             "- new\n\n",
	} {
		out, err := exec.Command("make", "-s", "-C", dir, "-f", makefile, "release-notes", "VERSION="+version).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", version, err, out)
		}
		if notes := read(t, filepath.Join(dir, ".release/notes.md")); notes != want {
			t.Errorf("of %q the notes are %q, want %q", version, notes, want)
		}
	}
	out, err := exec.Command("make", "-s", "-C", dir, "-f", makefile, "release-notes", "VERSION=1.2.0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CHANGELOG.md says nothing of 1.2.0: give it a section '## [1.2.0] - ") {
		t.Errorf("a release without a section is told %q (%v)", out, err)
	}
}

// What an archive or a package has is the same for all that make one, and no link of
// its pages leads out of it.
func TestReleaseFiles(t *testing.T) {
	m := regexp.MustCompile(`(?m)^DOCS := (.*)$`).FindStringSubmatch(read(t, "Makefile"))
	if m == nil {
		t.Fatal("the Makefile has no DOCS")
	}
	docs := strings.Fields(m[1])
	promu := regexp.MustCompile(`(?m)^    - (\S+)$`)
	_, list, _ := strings.Cut(read(t, ".promu.yml"), "\n  files:\n")
	list, _, _ = strings.Cut(list, "\ncrossbuild:")
	var also []string
	for _, m := range promu.FindAllStringSubmatch(list, -1) {
		also = append(also, m[1])
	}
	if !slices.Equal(slices.Sorted(slices.Values(docs)), slices.Sorted(slices.Values(also))) {
		t.Errorf("the Makefile packs %q, .promu.yml %q", docs, also)
	}
	within := func(file string) bool {
		return slices.ContainsFunc(docs, func(d string) bool { return file == d || strings.HasPrefix(file, d+"/") })
	}
	for _, page := range docPages(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(read(t, page), -1) {
			if file := filepath.Join(filepath.Dir(page), m[1]); within(page) && (!within(file) || !fileExists(file)) {
				t.Errorf("%s leads to %s, which is not packed", page, file)
			}
		}
	}
}

// The platforms are the same for all that make something for them or tell of them.
func TestPlatforms(t *testing.T) {
	words := func(name string) []string {
		t.Helper()
		out, err := exec.Command("make", "-s", "--eval=list: ; @echo $("+name+")", "list").CombinedOutput()
		if err != nil || len(bytes.TrimSpace(out)) == 0 {
			t.Fatalf("make tells no %s: %v\n%s", name, err, out)
		}
		return strings.Fields(string(out))
	}
	platforms := words("PLATFORMS")
	_, list, _ := strings.Cut(read(t, ".promu.yml"), "\n  platforms:\n")
	var promu []string
	for _, m := range regexp.MustCompile(`(?m)^    - (\S+)/(\S+)$`).FindAllStringSubmatch(list, -1) {
		promu = append(promu, m[1]+"-"+m[2])
	}
	if !slices.Equal(platforms, promu) {
		t.Errorf("the Makefile builds for %q, .promu.yml for %q", platforms, promu)
	}
	_, list, _ = strings.Cut(read(t, "docs/install.md"), "\n## Platforms\n")
	list, _, _ = strings.Cut(list, "\n## ")
	var told, emulated []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\S+)` \\| (tested|emulated|compiled) \\|").FindAllStringSubmatch(list, -1) {
		told = append(told, m[1])
		if m[2] == "emulated" && strings.HasPrefix(m[1], "linux-") {
			emulated = append(emulated, m[1])
		}
	}
	if !slices.Equal(platforms, told) {
		t.Errorf("the Makefile builds for %q, docs/install.md tells of %q", platforms, told)
	}
	if ran := words("EMULATED"); !slices.Equal(slices.Sorted(slices.Values(ran)), emulated) {
		t.Errorf("make emulated runs %q, docs/install.md tells of %q", ran, emulated)
	}
	for _, p := range append(words("KINDS"), words("PACKAGE_ARCHS:%=linux-%")...) {
		if !slices.Contains(platforms, p) {
			t.Errorf("%s is built by itself, and not with all platforms", p)
		}
	}
}

// A version before a release is older than it for dpkg and rpm, one after it newer.
func TestPackageVersion(t *testing.T) {
	makefile, err := filepath.Abs("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	for _, step := range []struct{ tag, want string }{
		{"", `^0\.0\.0~1\.g[0-9a-f]+$`},
		{"v1.2.0-rc.1", `^1\.2\.0~rc\.1$`},
		{"", `^1\.2\.0~rc\.1\+1\.g[0-9a-f]+$`},
		{"v1.2.0", `^1\.2\.0$`},
		{"", `^1\.2\.0\+1\.g[0-9a-f]+$`},
	} {
		git("commit", "-q", "--allow-empty", "-m", "x")
		if step.tag != "" {
			git("tag", step.tag)
		}
		out, err := exec.Command("make", "-s", "-C", dir, "-f", makefile, "--eval=version: ; @echo $(PACKAGE_VERSION)", "version").CombinedOutput()
		if err != nil || !regexp.MustCompile(step.want).MatchString(strings.TrimSpace(string(out))) {
			t.Errorf("the version is %q (%v), want %s", out, err, step.want)
		}
	}
}

// Whoever follows the workflows or the pages finds each target in the Makefile, and
// what a workflow runs, .ci/run runs too.
func TestMakeTargets(t *testing.T) {
	targets := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9][a-z0-9 -]*):(?:[^=]|$)`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		for _, name := range strings.Fields(m[1]) {
			targets[name] = true
		}
	}
	told := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):.*## `).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		if told[m[1]] {
			t.Errorf("make help lists %s twice", m[1])
		}
		told[m[1]] = true
	}
	workflows, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil || len(workflows) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	made := func(file string) map[string]bool {
		all := make(map[string]bool)
		for _, m := range regexp.MustCompile("(?m)(?:^\\s*(?:nice -n 10 )?|run: |`)make((?: [a-z][a-z0-9-]*)+)(?:[^a-z0-9-]|$)").FindAllStringSubmatch(read(t, file), -1) {
			for _, name := range strings.Fields(m[1]) {
				all[name] = true
			}
		}
		return all
	}
	proof := made(".ci/run")
	// Of a release, its own target; the images are made by packages-test, and pushed nowhere.
	for _, within := range []string{"release-notes", "images", "push-images"} {
		proof[within] = true
	}
	for _, file := range slices.Concat(workflows, []string{".ci/run", "CONTRIBUTING.md", "docs/install.md", "README.md"}) {
		for _, name := range slices.Sorted(maps.Keys(made(file))) {
			if !targets[name] {
				t.Errorf("%s says make %s, which the Makefile does not have", file, name)
			}
			if slices.Contains(workflows, file) && !proof[name] {
				t.Errorf("%s runs make %s, which .ci/run does not", file, name)
			}
		}
	}
}
