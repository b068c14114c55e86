package server

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/coscale"
	"scriptbridge/internal/testkit"
)

// logged has the handler tell into a buffer.
func logged(b *bytes.Buffer) func(*HandlerOptions) {
	return func(o *HandlerOptions) { o.Logger = log.NewLogfmtLogger(log.NewSyncWriter(b)) }
}

// named are the names of the servers that a handler knows, by their ids.
func named(t *testing.T, h *Handler) string {
	t.Helper()
	var all []string
	for _, o := range h.registry.all(coscale.Servers) {
		all = append(all, fmt.Sprint(o.ID, " ", o.Name))
	}
	return strings.Join(all, ", ")
}

func create(h *Handler, name string) int {
	return ask(h, "POST", "/api/v1/app/"+testApp+"/servers/", h.testSession(), formType, "name="+name).Code
}

// TestIDsMoved: while the folder is elsewhere nothing is made that no disk would
// have, and then it goes on.
func TestIDsMoved(t *testing.T) {
	testkit.NeedRemovals(t)
	folder := filepath.Join(t.TempDir(), "coscale")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	h, _ := newTestHandler(t, folder, logged(&said))
	create(h, "a")
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if code := create(h, "b"); code != http.StatusServiceUnavailable {
			t.Errorf("answered with %d", code)
		}
	}
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	if code := create(h, "b"); code != http.StatusOK {
		t.Errorf("answered with %d", code)
	}
	wanted := `level=error msg="requests to CoScale's API cannot be kept" err="` + folder + `: the folder was moved away, removed or replaced while it was in use: move it back, or restart scriptbridge to go on with what is there then"
level=info msg="requests to CoScale's API are kept again"
`
	if said.String() != wanted {
		t.Errorf("log:\n%s", said.String())
	}
	h.Close()
	again, _ := newTestHandler(t, folder, nil)
	if got := named(t, again); got != "1 a, 2 b" {
		t.Errorf("after a restart: %s", got)
	}
}

// TestIDsRemoved: what is in memory is written anew where the file is gone for
// good, or where somebody has written to it.
func TestIDsRemoved(t *testing.T) {
	testkit.NeedRemovals(t)
	for name, harm := range map[string]func(path string) error{
		"removed": os.Remove,
		"touched": func(path string) error { return os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "ids.db")
			var said bytes.Buffer
			h, _ := newTestHandler(t, folder, logged(&said))
			for _, s := range []string{"a", "b", "c"} {
				create(h, s)
			}
			must(t, h, "POST", "/servergroups/", "name=group&type=x")
			must(t, h, "POST", "/servergroups/1/servers/2/", "")
			must(t, h, "POST", "/servers/1/attributes/", "key=k")
			must(t, h, "DELETE", "/servers/3/", "")
			must(t, h, "POST", "/events/", "name=E")
			must(t, h, "POST", "/events/1/data/", "timestamp=1700000000&message=m&subject=s1")
			session := h.testSession()
			if err := harm(path); err != nil {
				t.Fatal(err)
			}
			if code := create(h, "d"); code != http.StatusOK {
				t.Fatalf("answered with %d: %s", code, said.String())
			}
			if !strings.HasPrefix(said.String(), `level=error msg="the file of ids was lost while it was in use: all of it was written anew from memory, and nothing is lost" file=`+path+` aside= err=`) || strings.Count(said.String(), "\n") != 1 {
				t.Errorf("log:\n%s", said.String())
			}
			before := fmt.Sprint(named(t, h), must(t, h, "GET", "/servergroups/1/servers/", ""), must(t, h, "GET", "/servers/1/", ""), must(t, h, "GET", "/events/1/data/1/", ""))
			h.Close()
			again, _ := newTestHandler(t, folder, nil)
			after := fmt.Sprint(named(t, again), must(t, again, "GET", "/servergroups/1/servers/", ""), must(t, again, "GET", "/servers/1/", ""), must(t, again, "GET", "/events/1/data/1/", ""))
			if before != after || !strings.HasPrefix(after, "1 a, 2 b, 4 d") {
				t.Errorf("before the restart: %s\nafter it: %s", before, after)
			}
			if w := ask(again, "GET", "/api/v1/app/"+testApp+"/servers/", session, "", ""); w.Code != http.StatusOK {
				t.Errorf("the session of before: %d", w.Code)
			}
			create(again, "e")
			if got := named(t, again); !strings.HasSuffix(got, "5 e") {
				t.Errorf("an id was given twice: %s", got)
			}
		})
	}
}

// TestIDsReplaced: another file in the place of the one that is in use is a
// person's, who has to say whether it counts.
func TestIDsReplaced(t *testing.T) {
	testkit.NeedRemovals(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "ids.db")
	var said bytes.Buffer
	h, _ := newTestHandler(t, folder, logged(&said))
	create(h, "a")
	if err := errors.Join(os.WriteFile(path+".new", []byte("a backup"), 0o600), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if code := create(h, "b"); code != http.StatusServiceUnavailable {
			t.Errorf("answered with %d", code)
		}
	}
	wanted := `level=error msg="requests to CoScale's API cannot be kept" err="` + path + `: another file took its place while it was in use: restart scriptbridge to go on with that"` + "\n"
	if said.String() != wanted {
		t.Errorf("log:\n%s", said.String())
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "a backup" {
		t.Errorf("the other file is %q, %v", text, err)
	}
}

// TestIDsPutRight: a file that was found damaged and put right in place is taken at
// the next try; and one of a newer version is left alone.
func TestIDsPutRight(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "ids.db")
	h, _ := newTestHandler(t, folder, nil)
	create(h, "a")
	h.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Clone(good)
	newer[20], newer[4096+20] = 3, 3 // the version of bbolt's format
	for what, c := range map[string]struct {
		text []byte
		want string
	}{
		"half":  {good[:len(good)/8192*4096], "; if it is broken, move it away: clients will get new ids"},
		"newer": {newer, `: a newer version of scriptbridge wrote it, in the format "bbolt 3"; this one knows "bbolt 2": go back to that version, or move the file away yourself`},
	} {
		if err := os.WriteFile(path, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := NewHandler(HandlerOptions{Folder: folder}); err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, c.text) {
			t.Errorf("%s: it was changed, %v", what, err)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := NewHandler(HandlerOptions{Folder: folder})
		if err != nil {
			t.Fatalf("%s, and then put right: %v", what, err)
		}
		if got := named(t, h); got != "1 a" {
			t.Errorf("%s, and then put right: %s", what, got)
		}
		h.Close()
	}
}
