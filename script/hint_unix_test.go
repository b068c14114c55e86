//go:build unix

package script

import (
	"testing"

	"scriptbridge/config"
	"scriptbridge/script/dialect"
)

// TestDoubtUser: what a check by somebody else than root says of a user.
func TestDoubtUser(t *testing.T) {
	for _, tt := range []struct {
		user string
		uid  int
		want string
	}{
		{"", 65534, ""},
		{"root", 0, ""},
		{"0", -1, ""},
		{"root", 65534, "user root needs a bridge that runs as root, which this check does not, so that it cannot see whether the script can run"},
		{"0", 1, "user 0 needs a bridge that runs as root, which this check does not, so that it cannot see whether the script can run"},
		{"nosuchuser", 1, ""}, // which is an error
	} {
		s := &Script{Script: dialect.Script{Script: &config.Script{Settings: config.Settings{User: tt.user}}}}
		if got := s.doubtUser(tt.uid); got != tt.want {
			t.Errorf("user %q, asked by %d: %s", tt.user, tt.uid, got)
		}
	}
}
