package takeover

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"scriptbridge/config"
	"scriptbridge/internal/trust"
)

// Bounds of what a configuration has: its file is bounded too. maxSkipped is for each
// tool.
const (
	maxEntries = 5000
	maxSkipped = 1000
	maxText    = 2 << 20
)

// refuseUnusable comments out what must not be obeyed, or leads nowhere.
func refuseUnusable(all []*finding, o Options) {
	count, faults := 0, make(map[obeyed]*trust.Error)
	for _, f := range all {
		if room := max(maxEntries-count, 0); len(f.entries) > room {
			f.skip(f.entries[room].at, "this entry and %d others: a configuration has at most %d here (include: takes further files)", len(f.entries)-room-1+f.dropped, maxEntries)
			f.entries = f.entries[:room]
		}
		count += len(f.entries)
		for _, e := range f.entries {
			if e.refused != "" {
				continue
			}
			e.refuseUntrusted(o, faults, slices.Concat([]string{e.at.File}, e.sources, f.shared))
			if e.section == scripts {
				e.refuseMissing(o)
			}
			if o.Host.IsOther() {
				for _, key := range []string{"directory", "agent_config", "mapping_config", "auth_file"} {
					if field := e.value.Get(key); field != nil && !o.Host.Exists(field.Value.Text) {
						e.refuse("%s does not exist", field.Value.Text)
					}
				}
			}
		}
		slices.SortStableFunc(f.skipped, func(a, b skipped) int {
			return cmp.Or(slices.Index(f.files, a.at.File)-slices.Index(f.files, b.at.File), a.at.Line-b.at.Line)
		})
	}
	refuseDuplicates(all)
	nameAll(all)
}

// refuseDuplicates comments out what another entry runs already: it would be measured
// twice.
func refuseDuplicates(all []*finding) {
	first := make(map[string]*entry)
	for _, f := range all {
		for _, e := range f.entries {
			if e.refused != "" || e.section != scripts {
				continue
			}
			key := strings.Join(e.words, "\x00")
			if dialect := e.value.Get("dialect"); dialect != nil {
				key = dialect.Value.Text + "\x00" + key
			}
			if folder := e.value.Get("directory"); folder != nil {
				key += "\x00" + folder.Value.Text
			}
			if other := first[key]; other != nil {
				e.refuse("%s has the same command", other.at)
			} else {
				first[key] = e
			}
		}
	}
}

// obeyed is a file that may belong to root and to a user.
type obeyed struct{ file, user string }

// refuseUntrusted: who may change one of the files that an entry comes from decides what
// runs. faults are those that are known; most entries come from the same files.
func (e *entry) refuseUntrusted(o Options, faults map[obeyed]*trust.Error, files []string) {
	if !o.AsRoot {
		return
	}
	for _, file := range files {
		key := obeyed{file, e.user}
		fault, known := faults[key]
		if !known {
			var uids []uint32
			if uid, ok := o.Host.Account(e.user); ok {
				uids = append(uids, uid)
			}
			fault = o.Host.Fault(file, uids, o.Trusted)
			faults[key] = fault
		}
		if fault != nil {
			e.refuse("%s would be obeyed by root, but %s may change it, since %s (look at the entry, and remove its #)", file, fault.Who, fault.State())
			return
		}
	}
}

// programFolders are where programs are that are not named by their paths.
var programFolders = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// nowhere is the folder in which relative paths begin.
const nowhere = "/no folder"

// refuseMissing looks for a program that cannot be found by its path.
func (e *entry) refuseMissing(o Options) {
	s, err := config.NewScript(e.name, e.words, nowhere, config.Settings{})
	if err != nil {
		return // the examination says why
	}
	for _, file := range []string{s.Command[0], s.OwnFile()} {
		if file = filepath.ToSlash(file); strings.HasPrefix(file, nowhere+"/") {
			e.refuse("the path %s is relative to a folder that is not known", strings.TrimPrefix(file, nowhere+"/"))
			return
		}
		switch is, _ := o.Host.IsFile(file); {
		case !o.Host.IsOther() || file == "" || is: // this machine is looked at by the examination
		case path.IsAbs(file):
			e.refuse("%s does not exist", file)
		case !slices.ContainsFunc(programFolders, func(folder string) bool { return o.Host.Exists(path.Join(folder, file)) }):
			e.refuse("there is no program %s", file)
		}
	}
}

// maxRounds bounds the examinations: each comments out at least one entry.
const maxRounds = 100

var atLine = regexp.MustCompile(`^:([0-9]+)(?::[0-9]+)?: `)

// verify comments out what the program's own reading of the configuration refuses.
func verify(all []*finding, o Options) error {
	for range maxRounds {
		text, owners := compose(all)
		if len(text) > maxText {
			return fmt.Errorf("the configuration would have more than the %d MiB that a file may have (--tool=TOOL takes over one tool alone; include: takes further files)", maxText>>20)
		}
		file, errs := o.Examine(text)
		if len(errs) == 0 {
			return nil
		}
		progress := false
		for _, err := range errs {
			message := strings.TrimPrefix(err.Error(), file)
			m := atLine.FindStringSubmatch(message)
			if m == nil {
				continue
			}
			n, _ := strconv.Atoi(m[1])
			if n < 1 || n > len(owners) || owners[n-1] == nil {
				continue
			}
			reason := thing.ReplaceAllString(strings.TrimPrefix(message, m[0]), "")
			// Where another entry stands changes.
			owners[n-1].refuse("%s", regexp.MustCompile(` \(`+regexp.QuoteMeta(file)+`:[0-9]+\)`).ReplaceAllString(reason, ""))
			progress = true
		}
		if !progress {
			return fmt.Errorf("the configuration that was made is not valid, which is a mistake of scriptbridge: %w", errors.Join(errs...))
		}
	}
	return errors.New("the configuration that was made is not valid, which is a mistake of scriptbridge")
}

// thing is what an error of the configuration begins with, which the entry says
// already.
var thing = regexp.MustCompile(`^(?:(?:scripts|discover)\[[0-9]+\](?: "(?:[^"\\]|\\.)*")?|script "(?:[^"\\]|\\.)*"|discover|receive: (?:statsd|collectd)): `)
