package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDefaultConfig: the configuration in the working folder, or else that of the machine.
func TestDefaultConfig(t *testing.T) {
	data := t.TempDir()
	t.Setenv("PROGRAMDATA", data)
	t.Chdir(t.TempDir())
	if got := defaultConfig(); got != "scriptbridge.yml" {
		t.Errorf("without any it is %s", got)
	}
	machine := filepath.Join(data, "scriptbridge", "scriptbridge.yml")
	if err := os.Mkdir(filepath.Dir(machine), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(machine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := defaultConfig(); got != machine {
		t.Errorf("it is %s, want %s", got, machine)
	}
	if err := os.WriteFile("scriptbridge.yml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := defaultConfig(); got != "scriptbridge.yml" {
		t.Errorf("with both it is %s", got)
	}
}
