package config

import (
	"os"
	"path/filepath"
	"testing"
)

// What a part says counts, and not where it lies, even where its fields cannot
// be compared by ==; and what its files hold.
func TestFingerprint(t *testing.T) {
	type part struct {
		Name   string
		List   []string
		ByName map[string]*int
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	make := func(n int) *part { return &part{"a", []string{"b"}, map[string]*int{"c": &n}} }
	write("one")
	of := func(n int, files ...string) string { return Fingerprint(files, make(n)) }
	first := of(1, file)
	if of(1, file) != first {
		t.Error("the same is not equal")
	}
	if of(2, file) == first || of(1) == first || Fingerprint(nil) == first {
		t.Error("what differs is equal")
	}
	write("two")
	if of(1, file) == first {
		t.Error("a renewed file makes no difference")
	}
	t.Setenv("OPERATOR_TOKEN", "one")
	if first = of(1, "${env:OPERATOR_TOKEN}"); first == of(1) || first == of(1, "${env:OTHER}") {
		t.Error("a variable makes no difference")
	}
	t.Setenv("OPERATOR_TOKEN", "two")
	if of(1, "${env:OPERATOR_TOKEN}") == first {
		t.Error("another value of a variable makes no difference")
	}
}

// What is hidden from people counts, and what is unexported; and no two texts
// are alike for what stands between them.
func TestFingerprintOfAll(t *testing.T) {
	type part struct {
		secret Secret
		names  []string
		unit   *string
	}
	none := ""
	seen := make(map[string]int)
	for i, p := range []part{
		{}, {secret: "one"}, {secret: "two"}, {names: []string{"a", "b"}}, {names: []string{"a b"}}, {names: []string{`a", "b`}}, {unit: &none},
	} {
		f := Fingerprint(nil, p)
		if j, ok := seen[f]; ok {
			t.Errorf("%d is like %d", i, j)
		}
		seen[f] = i
	}
	if Fingerprint(nil, "a", "b") == Fingerprint(nil, "ab") {
		t.Error("two parts are like one")
	}
}
