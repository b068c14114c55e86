package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scriptbridge/internal/panics"
	"scriptbridge/script"
)

// odd is a living bridge that is given odd configurations.
type odd struct {
	*living
	dialects []string
	port     string
	ok       *script.Script // that has been at work from the beginning
	taken    int            // configurations that were good
}

const goodConfig = "scripts: [{name: keep, command: ok.sh, dialect: nagios, interval: 1h}]\n"

func newOdd(t testing.TB) *odd {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir) // where instrumental's folder would be
	o := &odd{dialects: dialectNames(t)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, o.port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	o.living = newLivingIn(t, dir, goodConfig, "--storage.path="+filepath.Join(dir, "storage"))
	for name, text := range map[string]string{
		"ok.sh": "#!/bin/sh\n", "folder/a.sh": "#!/bin/sh\n", "folder/b": "#!/bin/sh\n", "folder/mon.py": "", "secret": "secret\n", "env": "A=b\n", "types.db": "a value:GAUGE:0:U\n",
		"agent.json": `{monitors: [{module: "mon", id: 1}, {module: "a.b"}]}`, "odd.json": `{monitors: [{}, null, {module: [1]}, {module: "x", id: {}}], import_vars: [1, {var: null}]}`,
		"conf.d/a.yml": "scripts: [{name: included, command: ../ok.sh}]\n", "mapping.yml": "mappings: []\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	o.ok = o.scripts()["keep"]
	return o
}

func (o *odd) scripts() map[string]*script.Script {
	all := make(map[string]*script.Script)
	for _, v := range o.pool.Views() {
		all[v.Script.Name] = v.Script
	}
	return all
}

// try reloads the bridge with the configuration that steps make, and then with a
// good one.
func (o *odd) try(t *testing.T, steps []byte) {
	c := &oddConfig{dialects: o.dialects, fields: make(map[string][]oddField)}
	for ; len(steps) >= 4; steps = steps[4:] {
		c.take(steps)
	}
	text, mapping := c.text()
	text = strings.ReplaceAll(text, "$PORT", o.port)
	if c.mapping {
		if err := os.WriteFile(filepath.Join(filepath.Dir(o.file), "mapping.yml"), []byte(mapping), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := o.names()
	o.write(t, text)
	err := o.reloader.reload(o.over, true)
	o.sound(t, err, text+"\n"+mapping)
	if err == nil {
		o.taken++
	} else {
		if after := o.names(); !slices.Equal(before, after) || o.scripts()["keep"] != o.ok {
			t.Errorf("a reload that failed with %v left %v at work, not %v\n%s", err, after, before, text)
		}
	}
	o.write(t, goodConfig)
	if err := o.reloader.reload(o.over, true); err != nil {
		t.Errorf("then a good configuration is refused: %v\n%s", err, text)
	}
	if after := o.names(); !slices.Equal(after, []string{"keep"}) {
		t.Errorf("with the good configuration %v are at work\n%s", after, text)
	}
	o.ok = o.scripts()["keep"]
	if resp, err := http.Get(o.url + "/-/healthy"); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the bridge is not healthy: %v %v\n%s", resp, err, text)
	} else {
		resp.Body.Close()
	}
}

// sound looks for faults of ours: that they are caught is no excuse here.
func (o *odd) sound(t *testing.T, err error, text string) {
	if stack := panics.StackOf(err); stack != "" {
		t.Fatalf("%v\n%s\n%s", err, stack, text)
	}
	for _, v := range o.sources.receivers.Views() {
		if strings.Contains(v.Error, "a fault of scriptbridge") {
			t.Fatalf("receiver %s: %s\n%s", v.Name, v.Error, text)
		}
	}
	if log := o.log.Take(); strings.Contains(log, "a fault of scriptbridge") {
		t.Fatalf("%s\n%s", log, text)
	}
}

// FuzzReload makes configurations out of every key, with every dialect and odd
// values, and reloads a living bridge with them: nothing that a file says may
// panic, end the bridge or leave it in between, and the next good file is taken.
func FuzzReload(f *testing.F) {
	o := newOdd(f)
	for _, seed := range oddSeeds(f, o.dialects) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, steps []byte) { o.try(t, steps[:min(len(steps), 4*40)]) })
}

// TestReloadEveryKey reloads a living bridge with each key, in its place, and
// each value; where it is a script's, with the dialects in turn.
func TestReloadEveryKey(t *testing.T) {
	o := newOdd(t)
	n := 0
	for p, place := range everyKey {
		dialects := 1
		if slices.Contains([]string{"settings", "script", "discover", "parameter", "metric", "confinement", "limits"}, place.name) {
			dialects = len(o.dialects)
		}
		for i, key := range place.keys {
			for v := range valuesOf(key) {
				for d := range dialects {
					if dialects > 1 && (i+v+d)%dialects != 0 {
						continue // each value has its turn, and each dialect
					}
					n++
					o.try(t, bytes.Clone([]byte{byte(p), byte(i), byte(v), byte(d)}))
				}
			}
		}
	}
	t.Logf("%d of %d configurations were taken", o.taken, n)
}
