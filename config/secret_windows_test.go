package config

import "testing"

// TestSecretNameOfCredential: no credential is to be had here, whatever its name; the remedy
// does not speak of units.
func TestSecretNameOfCredential(t *testing.T) {
	for _, name := range []string{"api-token", "", "..", "a/b"} {
		text := "${credential:" + name + "}"
		_, problem := readSecretName(nil, text)
		if problem == nil {
			t.Fatalf("%s is taken", text)
		}
		want := "is " + text + ", but only systemd gives credentials (write the path of a file that only the bridge's account may read)"
		if got := problem.Text + " (" + problem.Remedy + ")"; got != want {
			t.Errorf("%s:\n%s, want\n%s", text, got, want)
		}
	}
}
