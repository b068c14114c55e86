//go:build unix

package scalyr

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/fsx"
	"scriptbridge/script/dialect/dialecttest"
)

// What is no file in agent.d, or cannot be read, costs nothing but itself.
func TestDiscoverScalyrPassesOver(t *testing.T) {
	dir := dialecttest.UnpackTxtar(t, `
-- agent.json --
{ monitors: [ { module: "one" } ] }
-- agent.d/folder.json/x.json --
{ monitors: [ { module: "not" } ] }
-- two --
{ monitors: [ { module: "two" } ] }
`)
	in := func(name string) string { return filepath.Join(dir, "agent.d", name) }
	for _, err := range []error{
		os.Symlink("nowhere", in("dangling.json")),
		os.Symlink("loop.json", in("loop.json")),
		os.Symlink("../two", in("link.json")),
		os.WriteFile(in("huge.json"), nil, 0o600),
		os.Truncate(in("huge.json"), fsx.Most+1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(in("")) // a socket's path must be short
	socket, err := net.Listen("unix", "socket.json")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("SCALYR_EXTRA_CONFIG_DIR", "agent.json")
	want := `before
discover: DIR/agent.json is passed over: not a directory
discover: DIR/agent.d/dangling.json is passed over: there is no such file
discover: DIR/agent.d/folder.json is passed over: is a folder
discover: DIR/agent.d/huge.json is passed over: has more than 2 MiB
discover: DIR/agent.d/loop.json is passed over: too many levels of symbolic links
discover: DIR/agent.d/socket.json is passed over: is not a regular file
one
two`
	if diff := cmp.Diff(want, passedOver(t, dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
