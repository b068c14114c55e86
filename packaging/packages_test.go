// Package packaging_test installs the packages that `make packages` has made: in a
// Debian made by debootstrap, as root. `make packages-test` runs it.
package packaging_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

const script = `#!/bin/sh
case $1 in
-c) echo '{"metrics": [{"id": 1, "name": "Packaged", "unit": "", "datatype": "GAUGE", "calctype": "Instant"}]}' ;;
-d) echo 'M1 42' ;;
esac
`

// needs skips the test where it cannot be made, unless it must be.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	missing := ""
	if os.Getuid() != 0 {
		missing = "root"
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = p
		}
	}
	switch {
	case missing == "":
	case os.Getenv("SCRIPTBRIDGE_E2E") == "required":
		t.Fatalf("it needs %s, and SCRIPTBRIDGE_E2E=required", missing)
	default:
		t.Skipf("it needs %s", missing)
	}
}

// the gives the one package of that ending for this machine, made by the Makefile.
func the(t *testing.T, folder, ending string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(folder, "*"+ending))
	if err != nil || len(all) != 1 {
		t.Fatalf("%s has %q (%v), and should have one package %s: make packages-test", folder, all, err, ending)
	}
	path, err := filepath.Abs(all[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// root is a Debian in a folder.
type root string

// pristine is made by the first who needs it, and only copied.
var pristine root

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "packaging")
	if err != nil {
		panic(err)
	}
	pristine = root(dir)
	m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
}

// debian makes one, of the packages that every Debian has.
func debian(t *testing.T) root {
	t.Helper()
	if _, err := os.Stat(pristine.path("/etc/debian_version")); err != nil {
		mirror, _, _ := strings.Cut(run(t, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"), "\n")
		release, err := os.ReadFile("/etc/os-release")
		if err != nil {
			t.Fatal(err)
		}
		codename := regexp.MustCompile(`(?m)^VERSION_CODENAME=(.*)$`).FindSubmatch(release)
		if codename == nil {
			t.Fatalf("/etc/os-release names no Debian:\n%s", release)
		}
		run(t, "debootstrap", "--variant=minbase", string(codename[1]), string(pristine), mirror)
	}
	dir := t.TempDir()
	run(t, "cp", "-a", string(pristine)+"/.", dir)
	if err := os.Chmod(dir, 0o755); err != nil { // it is everybody's /
		t.Fatal(err)
	}
	return root(dir)
}

// command is a command in the root, with processes of its own, all of which end
// with it.
func (r root) command(args ...string) *exec.Cmd {
	c := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc=" + r.path("proc"), "chroot", string(r)}, args...)...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
	return c
}

func (r root) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

func (r root) path(name string) string { return filepath.Join(string(r), name) }

func (r root) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (r root) has(t *testing.T, want bool, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := os.Lstat(r.path(name)); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", name, !want, want)
		}
	}
}

// later is the package of a later version, whose configuration is another one.
func later(t *testing.T, packager string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile("nfpm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(dir, "scriptbridge.yml")
	if err := os.WriteFile(changed, []byte("discover:\n  - directory: /etc/scriptbridge/scripts\n    interval: 2m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("src: packaging/scriptbridge.yml"), []byte("src: "+changed))
	config := filepath.Join(dir, "nfpm.yaml")
	if err := os.WriteFile(config, text, 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", "tool", "-modfile=tools/go.mod", "nfpm", "package", "--config", config, "--packager", packager, "--target", dir)
	c.Dir = ".."
	c.Env = append(os.Environ(), "ARCH="+runtime.GOARCH, "PACKAGE_VERSION=999.0.0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return the(t, dir, "."+packager)
}

// serve runs the service as its unit says, as far as that can be had without
// systemd, until the test ends, and waits until its page has what the script prints.
func (r root) serve(t *testing.T) (address string) {
	t.Helper()
	unit, err := os.ReadFile(r.path("/usr/lib/systemd/system/scriptbridge.service"))
	if err != nil {
		t.Fatal(err)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=(.*(?:\\\n.*)*)$`).FindSubmatch(unit)
	if start == nil || !bytes.Contains(unit, []byte("\nEnvironmentFile=-/etc/default/scriptbridge\n")) || !bytes.Contains(unit, []byte("\nUser=scriptbridge\n")) {
		t.Fatalf("the unit starts nothing, or not with /etc/default/scriptbridge, or as another user:\n%s", unit)
	}
	line := strings.NewReplacer("\\\n", "", "%S", "/var/lib").Replace(string(start[1]))
	r.run(t, "install", "-d", "-o", "scriptbridge", "-g", "scriptbridge", "-m", "0700", "/var/lib/scriptbridge") // StateDirectory
	r.run(t, "install", "-d", "-o", "scriptbridge", "-g", "scriptbridge", "-m", "0755", "/run/scriptbridge")     // RuntimeDirectory
	address = testkit.FreeAddress()
	r.write(t, "/etc/default/scriptbridge", fmt.Sprintf("ARGS=\"--web.listen-address=%s --config.auto-reload-interval=1s\"\n", address), 0o644)

	// The first process stays root: the end of its parent is the end of one that is
	// still who it was.
	c := r.command("sh", "-c", "setpriv --reuid=scriptbridge --regid=scriptbridge --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all "+
		"sh -c '. /etc/default/scriptbridge; exec "+line+"' & wait")
	var log testkit.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // and, as --kill-child says, all of it
		_ = c.Wait()
	})
	page := ""
	testkit.Poll(t, "the script's series", func() bool {
		page = get("http://" + address + "/metrics")
		return strings.Contains(page, "\ncoscale_packaged{script=\"packaged\"} 42\n")
	}, func() string { return "the page is\n" + page + "\nthe log\n" + log.String() })
	return address
}

// shown has a Prometheus scrape the service as the package has set it up, and a
// node_exporter show the same by two more lines of configuration.
func (r root) shown(t *testing.T, address string) {
	prometheus := testkit.FreeAddress()
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs: [{job_name: scriptbridge, static_configs: [{targets: [%q]}]}]\n", address)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	beside(t, "prometheus", "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+prometheus)
	awaits(t, "http://"+prometheus+"/api/v1/query?query=coscale_packaged", `"script":"packaged"},"value":[`, `,"42"]`)

	was, err := os.ReadFile(r.path("/etc/scriptbridge/scriptbridge.yml"))
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "/etc/scriptbridge/scriptbridge.yml", string(was)+"textfile:\n  directory: /run/scriptbridge\n", 0o644)
	folder, file := r.path("/run/scriptbridge"), "scriptbridge.prom"
	// Where it has another folder, there is a link to the file.
	other := t.TempDir()
	if err := os.Symlink(filepath.Join(folder, file), filepath.Join(other, file)); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{folder, other} {
		node := testkit.FreeAddress()
		beside(t, "prometheus-node-exporter", "--web.listen-address="+node, "--collector.textfile.directory="+folder)
		awaits(t, "http://"+node+"/metrics", "\ncoscale_packaged{script=\"packaged\"} 42\n", "\nnode_textfile_scrape_error 0\n", "\nnode_textfile_mtime_seconds{file=\""+folder+"/"+file+"\"}", "\nnode_load1 ")
	}
	r.write(t, "/etc/scriptbridge/scriptbridge.yml", string(was), 0o644)
}

// beside runs a program of this machine until the test ends.
func beside(t *testing.T, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = t.TempDir()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
}

// awaits polls a page until it has all of some texts.
func awaits(t *testing.T, url string, wanted ...string) {
	t.Helper()
	page := ""
	testkit.Poll(t, url+" to have what is wanted", func() bool {
		page = get(url)
		for _, want := range wanted {
			if !strings.Contains(page, want) {
				return false
			}
		}
		return true
	}, func() string { return fmt.Sprintf("it has no %q, but\n%s", wanted, page) })
}

func get(url string) string {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func TestPackages(t *testing.T) {
	needs(t, "debootstrap", "dpkg-deb", "rpm", "unshare", "chroot", "prometheus", "prometheus-node-exporter")
	t.Run("deb", func(t *testing.T) { testDeb(t, debian(t)) })
	t.Run("rpm", func(t *testing.T) { testRPM(t, debian(t)) })
}

// installed are files of both packages.
var installed = []string{
	"/usr/bin/scriptbridge", "/usr/lib/systemd/system/scriptbridge.service", "/usr/lib/sysusers.d/scriptbridge.conf",
	"/usr/share/man/man1/scriptbridge.1.gz", "/usr/share/bash-completion/completions/scriptbridge", "/usr/share/fish/vendor_completions.d/scriptbridge.fish",
	"/usr/share/doc/scriptbridge/README.md", "/usr/share/doc/scriptbridge/docs/configuration.md", "/usr/share/doc/scriptbridge/docs/alerts.md",
	"/usr/share/doc/scriptbridge/examples/scriptbridge.yml", "/usr/share/doc/scriptbridge/dashboards/rules.yml",
}

// mine is what an operator has made of the configuration.
const mine = "# mine\ndiscover:\n  - directory: /etc/scriptbridge/scripts\n"

func testDeb(t *testing.T, r root) {
	run(t, "cp", the(t, "../.packages", "_"+runtime.GOARCH+".deb"), r.path("/tmp/scriptbridge.deb"))
	r.run(t, "apt-get", "install", "-y", "/tmp/scriptbridge.deb")
	r.has(t, true, append(installed, "/usr/share/zsh/vendor-completions/_scriptbridge")...)
	if got := r.run(t, "getent", "passwd", "scriptbridge"); !strings.HasSuffix(got, ":/var/lib/scriptbridge:/usr/sbin/nologin\n") {
		t.Errorf("the account: %s", got)
	}
	if got := r.run(t, "scriptbridge", "check", "/etc/scriptbridge/scriptbridge.yml"); !strings.Contains(got, "no errors") {
		t.Errorf("check: %s", got)
	}
	r.write(t, "/etc/scriptbridge/scripts/packaged", script, 0o755)
	t.Run("serve", func(t *testing.T) { r.shown(t, r.serve(t)) })
	if got := r.run(t, "dpkg", "--verify", "scriptbridge"); strings.TrimSpace(got) != "??5?????? c /etc/default/scriptbridge" {
		t.Errorf("what differs from the package:\n%s", got)
	}

	r.write(t, "/etc/scriptbridge/scriptbridge.yml", mine, 0o644)
	run(t, "cp", later(t, "deb"), r.path("/tmp/later.deb"))
	r.run(t, "apt-get", "install", "-y", "-o", "Dpkg::Options::=--force-confold", "/tmp/later.deb")
	if got := r.run(t, "cat", "/etc/scriptbridge/scriptbridge.yml"); got != mine {
		t.Errorf("the operator's configuration is now\n%s", got)
	}
	r.has(t, true, "/etc/scriptbridge/scriptbridge.yml.dpkg-dist", "/etc/scriptbridge/scripts/packaged")

	r.run(t, "apt-get", "remove", "-y", "scriptbridge")
	r.has(t, false, installed...)
	r.has(t, true, "/etc/scriptbridge/scriptbridge.yml", "/etc/default/scriptbridge", "/etc/scriptbridge/scripts/packaged", "/var/lib/scriptbridge")

	r.run(t, "apt-get", "purge", "-y", "scriptbridge")
	r.has(t, false, "/etc/scriptbridge/scriptbridge.yml", "/etc/default/scriptbridge", "/var/lib/scriptbridge")
	r.has(t, true, "/etc/scriptbridge/scripts/packaged") // which no package has made
}

func testRPM(t *testing.T, r root) {
	rpm := func(args ...string) string {
		return run(t, "rpm", append([]string{"--root", string(r), "--nodeps"}, args...)...)
	}
	rpm("--install", the(t, "../.packages", rpmArch(t)+".rpm"))
	r.has(t, true, append(installed, "/usr/share/zsh/site-functions/_scriptbridge")...)
	r.run(t, "getent", "passwd", "scriptbridge")
	r.write(t, "/etc/scriptbridge/scripts/packaged", script, 0o755)
	t.Run("serve", func(t *testing.T) { r.serve(t) })

	r.write(t, "/etc/scriptbridge/scriptbridge.yml", mine, 0o644)
	rpm("--upgrade", later(t, "rpm"))
	if got := r.run(t, "cat", "/etc/scriptbridge/scriptbridge.yml"); got != mine {
		t.Errorf("the operator's configuration is now\n%s", got)
	}
	r.has(t, true, "/etc/scriptbridge/scriptbridge.yml.rpmnew")

	rpm("--erase", "scriptbridge")
	r.has(t, false, installed...)
	r.has(t, true, "/etc/scriptbridge/scriptbridge.yml.rpmsave", "/etc/scriptbridge/scripts/packaged", "/var/lib/scriptbridge")
}

// rpmArch is what rpm calls this machine.
func rpmArch(t *testing.T) string {
	name, ok := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i386", "arm": "armv7hl"}[runtime.GOARCH]
	if !ok {
		t.Skipf("there is no rpm for %s", runtime.GOARCH)
	}
	return name
}
