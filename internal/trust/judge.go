package trust

import (
	"slices"
	"strings"
)

// A descriptor says to whom something belongs on Windows, and who may do what with it:
// the part of its security descriptor that is judged. This file only judges, and on all
// systems alike, so that its tests run everywhere.
type descriptor struct {
	owner string // a SID
	// open says that there is no list, so that everybody may do everything.
	open    bool
	entries []entry // in their order
}

// entry is one of an access control list.
type entry struct {
	deny        bool
	inheritOnly bool // it is for what will be made in the folder
	sid         string
	rights      uint32
}

// SIDs that are the same on each Windows.
const (
	sidEveryone         = "S-1-1-0"
	sidCreatorOwner     = "S-1-3-0"
	sidCreatorGroup     = "S-1-3-1"
	sidOwnerRights      = "S-1-3-4"
	sidAnonymous        = "S-1-5-7"
	sidService          = "S-1-5-6"
	sidSystem           = "S-1-5-18"
	sidLocalService     = "S-1-5-19"
	sidNetworkService   = "S-1-5-20"
	sidAdministrators   = "S-1-5-32-544"
	sidTrustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
)

// Rights, by their names for files. In a folder the first two are those to make files and
// to make folders in it.
const (
	rightWrite           = 0x2
	rightAppend          = 0x4
	rightDeleteChild     = 0x40
	rightWriteAttributes = 0x100
	rightDelete          = 0x10000
	rightWriteDAC        = 0x40000
	rightWriteOwner      = 0x80000
	rightAll             = 0x10000000 // GENERIC_ALL
	rightGenericWrite    = 0x40000000 // GENERIC_WRITE
)

// use says what something is to the one who obeys it, which decides what rights of
// others are dangerous.
type use int

const (
	// through: something that is there already is looked up in the folder. To make others
	// beside it changes nothing; C:\ and C:\ProgramData let all users do so.
	through use = iota
	// last: a file that is obeyed, or a folder in which whatever lies there is.
	last
	// link: a symbolic link or a junction, which whoever may write it can lead elsewhere.
	link
)

func (u use) dangerous() uint32 {
	const replace = rightDelete | rightWriteDAC | rightWriteOwner | rightAll
	if u == through { // what has something in it cannot become a junction
		return replace | rightDeleteChild
	}
	// Who may write attributes may make a link of it (FSCTL_SET_REPARSE_POINT).
	return replace | rightDeleteChild | rightWrite | rightAppend | rightWriteAttributes | rightGenericWrite
}

// trusted says whether an account may change what is obeyed: own is the one that the program
// runs as, empty where that is not trusted.
func trusted(sid, own string) bool {
	switch sid {
	case sidSystem, sidAdministrators, sidTrustedInstaller:
		return true
	}
	return sid == own && own != ""
}

// judge gives those who are not trusted and may change something; foreign says that it is
// the one to whom it belongs, who may do with it what he likes.
func (d *descriptor) judge(as use, own string) (who []string, foreign bool) {
	if !trusted(d.owner, own) {
		return []string{d.owner}, true
	}
	if d.open {
		return []string{sidEveryone}, false
	}
	for i, e := range d.entries {
		if e.deny || e.inheritOnly || trusted(e.sid, own) || slices.Contains(who, e.sid) {
			continue
		}
		switch e.sid {
		// The first two are nobody, and stand for the maker of what is inherited; the
		// third is the owner, who is trusted.
		case sidCreatorOwner, sidCreatorGroup, sidOwnerRights:
			continue
		}
		if e.rights&^denied(d.entries[:i], e.sid)&as.dangerous() != 0 {
			who = append(who, e.sid)
		}
	}
	return who, false
}

// denied are the rights that somebody has been refused by entries: himself, or as one of
// all, of whom who has not logged on is none. What else he may be a member of is not known.
func denied(entries []entry, sid string) (rights uint32) {
	for _, e := range entries {
		if e.deny && !e.inheritOnly && (e.sid == sid || e.sid == sidEveryone && sid != sidAnonymous) {
			rights |= e.rights
		}
	}
	return rights
}

// broad are the groups that everybody on a machine is a member of, however he has logged on.
var broad = []string{sidEveryone, "S-1-2-0", "S-1-5-2", "S-1-5-4", sidAnonymous, "S-1-5-11", "S-1-5-15", "S-1-5-113", "S-1-5-32-545", "S-1-5-32-546"}

// The SIDs of the users and of the guests of a domain end like this.
const (
	sidDomainUsers  = "-513"
	sidDomainGuests = "-514"
)

// readers gives the groups of everybody that may read something, as the last digit of a
// Unix mode does. Accounts and groups that are named by themselves are meant to.
func (d *descriptor) readers() (who []string) {
	const read = 0x1 | rightAll | 0x80000000 // GENERIC_READ
	if d.open {
		return []string{sidEveryone}
	}
	for i, e := range d.entries {
		every := slices.Contains(broad, e.sid) || strings.HasPrefix(e.sid, "S-1-5-21-") && (strings.HasSuffix(e.sid, sidDomainUsers) || strings.HasSuffix(e.sid, sidDomainGuests))
		if every && !e.deny && !e.inheritOnly && e.rights&^denied(d.entries[:i], e.sid)&read != 0 && !slices.Contains(who, e.sid) {
			who = append(who, e.sid)
		}
	}
	return who
}

// icacls is a command that takes from some accounts what they may do with a file, and
// changes nothing else: what is inherited becomes the file's own before.
func icacls(path string, sids []string) string {
	file := `"` + path + `"`
	return "icacls " + file + " /inheritance:d, and then icacls " + file + " /remove:g *" + strings.Join(sids, " *")
}
