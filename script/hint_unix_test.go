//go:build unix

package script

import (
	"testing"

	"scriptbridge/config"
	"scriptbridge/script/dialect"
)

// TestDoubtGroup: likewise of a group.
func TestDoubtGroup(t *testing.T) {
	for _, tt := range []struct {
		group    string
		uid, gid int
		want     string
	}{
		{"", 65534, 65534, ""},
		{"daemon", 0, 0, ""},
		{"daemon", -1, -1, ""},
		{"daemon", 65534, 1, ""}, // its own
		{"daemon", 65534, 65534, "group daemon needs a bridge that runs as root, which this check does not"},
		{"nosuchgroup", 65534, 65534, ""}, // which is an error
	} {
		s := &Script{Script: dialect.Script{Script: &config.Script{Settings: config.Settings{Group: tt.group}}}}
		if got := s.doubtGroup(tt.uid, tt.gid); got != tt.want {
			t.Errorf("group %q, asked by %d: %s", tt.group, tt.uid, got)
		}
	}
}

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
