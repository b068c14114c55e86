package packaging_test

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"scriptbridge/internal/testkit"
)

// TestImages builds both images upon a Debian made here, and runs them with nothing
// that a container may do without.
func TestImages(t *testing.T) {
	needs(t, "debootstrap", "buildah", "podman", "runc", "make")
	store := t.TempDir()
	own := []string{"--root=" + filepath.Join(store, "root"), "--runroot=" + filepath.Join(store, "run"), "--storage-driver=vfs"}
	podman := func(t *testing.T, args ...string) string { return run(t, "podman", append(own, args...)...) }

	tar := filepath.Join(store, "debian.tar")
	run(t, "tar", "-C", string(debian(t)), "-cf", tar, ".")
	podman(t, "import", tar, "localhost/debian:test")
	c := exec.Command("make", "-C", "..", "images", "IMAGE=localhost/scriptbridge", "VERSION=1.2.3", "BASE=localhost/debian:test",
		"BUILDAH=buildah "+strings.Join(own, " "))
	c.Env = append(os.Environ(), "BUILDAH_ISOLATION=chroot")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("make images: %v\n%s", err, out)
	}

	for _, list := range []string{"1.2.3-static", "latest-static"} {
		var made struct {
			Manifests []struct {
				Platform struct{ Architecture, OS string }
			}
		}
		if err := json.Unmarshal([]byte(run(t, "buildah", append(own, "manifest", "inspect", "localhost/scriptbridge:"+list)...)), &made); err != nil {
			t.Fatal(err)
		}
		var platforms []string
		for _, m := range made.Manifests {
			platforms = append(platforms, m.Platform.OS+"/"+m.Platform.Architecture)
		}
		if got := strings.Join(platforms, " "); got != "linux/amd64 linux/arm64" {
			t.Errorf("%s is for %s", list, got)
		}
	}
	for arch, want := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		mounted := strings.TrimSpace(podman(t, "image", "mount", "localhost/scriptbridge:1.2.3-static-"+arch))
		binary, err := elf.Open(filepath.Join(mounted, "usr/bin/scriptbridge"))
		if err != nil {
			t.Fatal(err)
		}
		if binary.Machine != want {
			t.Errorf("the image for %s has a binary for %s", arch, binary.Machine)
		}
		binary.Close()
		podman(t, "image", "unmount", "localhost/scriptbridge:1.2.3-static-"+arch)
	}

	scripts := t.TempDir()
	if err := os.Chmod(scripts, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(scripts, "packaged"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]string{
		"1.2.3":        "\ncoscale_packaged{script=\"packaged\"} 42\n",
		"1.2.3-static": "\nscriptbridge_script_success{script=\"packaged\"} 0\n", // there is no sh
	} {
		t.Run(tag, func(t *testing.T) {
			address := testkit.FreeAddress()
			id := strings.TrimSpace(podman(t, "--runtime=runc", "run", "--detach", "--network=host", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
				"--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", // of which more may not be had here
				"--volume="+scripts+":/etc/scriptbridge/scripts:ro",
				"localhost/scriptbridge:"+tag, "--web.listen-address="+address))
			defer podman(t, "rm", "--force", "--time=10", id)
			page := ""
			testkit.Poll(t, "the script's series", func() bool {
				page = get("http://" + address + "/metrics")
				return strings.Contains(page, want)
			}, func() string {
				log, _ := exec.Command("podman", append(own, "logs", id)...).CombinedOutput()
				return "the page is\n" + page + "\nthe log\n" + string(log)
			})
		})
	}
}
