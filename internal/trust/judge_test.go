package trust

import (
	"slices"
	"strings"
	"testing"
)

const (
	sidUsers         = "S-1-5-32-545"
	sidAuthenticated = "S-1-5-11"
	sidMe            = "S-1-5-21-1-2-3-1001"
	sidAlice         = "S-1-5-21-1-2-3-1002"
)

// What Windows grants by these names.
const (
	full       = 0x1f01ff
	modify     = 0x1301bf
	readOnly   = 0x1200a9
	genericAll = 0x10000000
)

func allow(sid string, rights uint32) entry  { return entry{sid: sid, rights: rights} }
func refuse(sid string, rights uint32) entry { return entry{sid: sid, rights: rights, deny: true} }
func inherit(sid string, rights uint32) entry {
	return entry{sid: sid, rights: rights, inheritOnly: true}
}

// TestJudge has the lists that Windows has by default, and each way in which somebody else
// could decide what an administrator obeys.
func TestJudge(t *testing.T) {
	system := []entry{allow(sidAdministrators, full), allow(sidSystem, full)}
	with := func(more ...entry) []entry { return append(slices.Clone(system), more...) }
	for _, c := range []struct {
		name    string
		owner   string
		entries []entry // nil: everybody may do everything
		as      use
		want    string // SIDs; with ! where it belongs to them
	}{
		{"administrators alone", sidAdministrators, system, last, ""},
		{"of the system", sidSystem, system, last, ""},
		{"of the installer", sidTrustedInstaller, with(allow(sidTrustedInstaller, full), allow(sidUsers, readOnly)), last, ""},
		{"our own", sidMe, with(allow(sidMe, full)), last, ""},
		{"no entries at all", sidAdministrators, []entry{}, last, ""},
		{"no list", sidAdministrators, nil, last, sidEveryone},
		{"no list, on the way", sidAdministrators, nil, through, sidEveryone},
		{"another's", sidAlice, system, last, "!" + sidAlice},
		{"another's, on the way", sidAlice, system, through, "!" + sidAlice},
		{"another's link", sidAlice, system, link, "!" + sidAlice},
		{"no owner", "", system, last, "!"},

		{"C:\\", sidTrustedInstaller, with(allow(sidUsers, readOnly), inherit(sidAuthenticated, modify), allow(sidAuthenticated, rightAppend)), through, ""},
		{"C:\\ProgramData", sidSystem, with(inherit(sidCreatorOwner, genericAll), allow(sidUsers, readOnly), allow(sidUsers, 0x116)), through, ""},
		{"C:\\Program Files", sidTrustedInstaller, with(allow(sidTrustedInstaller, full), allow(sidUsers, readOnly), inherit(sidCreatorOwner, genericAll)), through, ""},
		{"a folder made in C:\\", sidAdministrators, with(allow(sidUsers, readOnly), allow(sidAuthenticated, modify)), through, sidAuthenticated},
		{"a file made in C:\\", sidAdministrators, with(allow(sidUsers, readOnly), allow(sidAuthenticated, modify)), last, sidAuthenticated},
		{"a folder in ProgramData to put programs in", sidAdministrators, with(allow(sidUsers, 0x116)), last, sidUsers},

		{"a file that may be written", sidAdministrators, with(allow(sidEveryone, rightWrite)), last, sidEveryone},
		{"a file that may be added to", sidAdministrators, with(allow(sidUsers, rightAppend)), last, sidUsers},
		{"a file that may be removed", sidAdministrators, with(allow(sidUsers, rightDelete)), last, sidUsers},
		{"its list may be changed", sidAdministrators, with(allow(sidUsers, rightWriteDAC)), last, sidUsers},
		{"it may be taken", sidAdministrators, with(allow(sidUsers, rightWriteOwner)), last, sidUsers},
		{"generic writing", sidAdministrators, with(allow(sidUsers, rightGenericWrite)), last, sidUsers},
		{"generic everything", sidAdministrators, with(allow(sidUsers, rightAll)), through, sidUsers},
		{"its attributes may be changed", sidAdministrators, with(allow(sidUsers, rightWriteAttributes)), last, sidUsers},
		{"the attributes of a folder on the way may be changed", sidAdministrators, with(allow(sidUsers, rightWriteAttributes)), through, ""},
		{"two of them", sidAdministrators, with(allow(sidUsers, modify), allow(sidEveryone, full), allow(sidUsers, full)), last, sidUsers + " " + sidEveryone},

		{"files may be made in a folder on the way", sidAdministrators, with(allow(sidUsers, rightWrite|rightAppend)), through, ""},
		{"what is in a folder may be removed", sidAdministrators, with(allow(sidUsers, rightDeleteChild)), through, sidUsers},
		{"a folder may be renamed", sidAdministrators, with(allow(sidUsers, rightDelete)), through, sidUsers},
		{"a link that may be written", sidAdministrators, with(allow(sidUsers, rightWriteAttributes)), link, sidUsers},
		{"a link that may be removed", sidAdministrators, with(allow(sidUsers, rightDelete)), link, sidUsers},

		{"denied before", sidAdministrators, append([]entry{refuse(sidUsers, full)}, with(allow(sidUsers, modify))...), last, ""},
		{"denied to all before", sidAdministrators, append([]entry{refuse(sidEveryone, full)}, with(allow(sidUsers, modify))...), last, ""},
		{"denied to all, of whom who has no name is none", sidAdministrators, append([]entry{refuse(sidEveryone, full)}, with(allow("S-1-5-7", modify))...), last, "S-1-5-7"},
		{"a part is denied", sidAdministrators, append([]entry{refuse(sidUsers, rightWrite)}, with(allow(sidUsers, modify))...), last, sidUsers},
		{"denied too late", sidAdministrators, with(allow(sidUsers, modify), refuse(sidUsers, full)), last, sidUsers},
		{"denied to others", sidAdministrators, append([]entry{refuse(sidAlice, full)}, with(allow(sidUsers, modify))...), last, sidUsers},
		{"denied to what is made in it", sidAdministrators, append([]entry{{deny: true, inheritOnly: true, sid: sidUsers, rights: full}}, with(allow(sidUsers, modify))...), last, sidUsers},
		{"to the creator, which is nobody", sidAdministrators, with(allow(sidCreatorOwner, full), allow(sidCreatorGroup, full)), last, ""},
		{"to the owner, who is trusted", sidAdministrators, with(allow(sidOwnerRights, full)), last, ""},
	} {
		d := descriptor{owner: c.owner, open: c.entries == nil, entries: c.entries}
		who, foreign := d.judge(c.as, sidMe)
		got := strings.Join(who, " ")
		if foreign {
			got = "!" + got
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	// Our own account is trusted where we have rights over others, and only then.
	d := descriptor{owner: sidMe}
	if who, foreign := d.judge(last, ""); !foreign || who[0] != sidMe {
		t.Errorf("without: %v", who)
	}
}

// TestErrorTexts has what is said of files on Windows, where there are no modes.
func TestErrorTexts(t *testing.T) {
	const path = `C:\x y\s.ps1`
	for _, c := range []struct {
		e                       Error
		state, obeyedBy, remedy string
	}{
		{
			Error{Path: path, Component: path, Who: `BUILTIN\Users and Everyone`, Owner: `BUILTIN\Administrators`, SIDs: []string{sidUsers, sidEveryone}},
			path + ` is writable by BUILTIN\Users and Everyone (owner BUILTIN\Administrators)`, `BUILTIN\Users and Everyone`,
			`let nobody but ` + Root + ` write it (icacls "` + path + `" /inheritance:d, and then icacls "` + path + `" /remove:g *S-1-5-32-545 *S-1-1-0)`,
		},
		{
			Error{Path: path, Component: path, Who: `PC\alice`, Owner: `PC\alice`, Foreign: true, SIDs: []string{sidAlice}},
			path + ` belongs to PC\alice`, `PC\alice`, `let ` + Root + ` have a copy of it`,
		},
		{
			Error{Path: path, Component: `C:\x y`, Who: `Everyone`, Owner: `PC\me`, SIDs: []string{sidEveryone}},
			`C:\x y is writable by Everyone (owner PC\me)`, `Everyone`, `keep it in a folder that only ` + Root + ` may write`,
		},
	} {
		if got := c.e.State(); got != c.state {
			t.Errorf("%s, want %s", got, c.state)
		}
		if got, want := c.e.Obeyed(), "is obeyed by "+Root+", but "+c.obeyedBy+" may change it, since "+c.state; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := c.e.Remedy(); got != c.remedy {
			t.Errorf("%s, want %s", got, c.remedy)
		}
	}
}

// TestReaders: a secret is for whom it names, and not for everybody.
func TestReaders(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []entry // nil: everybody may do everything
		want    string
	}{
		{"private", []entry{allow(sidSystem, full), allow(sidAdministrators, full), allow(sidMe, full)}, ""},
		{"for somebody else", []entry{allow(sidAlice, full)}, ""},
		{"in ProgramData", []entry{allow(sidSystem, full), allow(sidUsers, readOnly)}, sidUsers},
		{"no list", nil, sidEveryone},
		{"of a domain", []entry{allow("S-1-5-21-1-2-3-513", readOnly)}, "S-1-5-21-1-2-3-513"},
		{"guests of a domain", []entry{allow("S-1-5-21-1-2-3-514", readOnly)}, "S-1-5-21-1-2-3-514"},
		{"all that have an account here, or have logged on", []entry{allow("S-1-5-113", readOnly), allow("S-1-2-0", readOnly), allow("S-1-5-15", readOnly)}, "S-1-5-113 S-1-2-0 S-1-5-15"},
		{"generic", []entry{allow(sidEveryone, 0x80000000), allow(sidAuthenticated, rightAll), allow(sidEveryone, full)}, sidEveryone + " " + sidAuthenticated},
		{"to write and not to read", []entry{allow(sidEveryone, rightWrite)}, ""},
		{"denied before", []entry{refuse(sidUsers, full), allow(sidUsers, readOnly)}, ""},
		{"of what is made in it", []entry{inherit(sidUsers, readOnly)}, ""},
	} {
		d := descriptor{owner: sidAlice, open: c.entries == nil, entries: c.entries}
		if got := strings.Join(d.readers(), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
