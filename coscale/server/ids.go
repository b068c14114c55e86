package server

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/coscale"
	"scriptbridge/internal/fsx"
	"scriptbridge/record"
)

// Bounds of what clients can make us keep.
const (
	maxObjects    = 100_000
	maxBytes      = 256 << 20 // of all objects, as JSON
	maxLinks      = 1_000_000
	maxAttributes = 1000 // of one object
)

// attributeIDs counts the ids of attributes, eventIDs those of event data.
const (
	attributeIDs coscale.Kind = "attributes"
	eventIDs     coscale.Kind = "data"
)

// registry knows what clients have made: objects, what is linked to what, and
// the data of events. It reads from memory; what changes is written to disk
// first and is in memory only when that is synced.
type registry struct {
	disk *disk
	// changing is held from before a change looks at what is there until it is
	// in memory; only who holds it writes below.
	changing sync.Mutex

	// mu guards all below. It is never held while the disk is written, so that
	// data do not wait for it.
	mu      sync.Mutex
	tables  map[coscale.Kind]*table
	next    map[coscale.Kind]int64
	links   map[link]uint64 // its number among all
	lastOne uint64          // the last such number
	members map[linkKey][]int64
	holders map[linkKey][]int64 // the other way round
	bytes   int
	events  eventTable
	// unanswered are the events that were kept when the process before ended.
	unanswered []int64

	version    uint64                 // of objects and links
	metas      map[int64]*record.Meta // made when asked for
	eventMetas map[int64]*record.EventMeta
	changes    uint64 // of what declared tells
}

// table holds the objects of a kind.
type table struct {
	byID   map[int64]*object
	sizes  map[int64]int
	byName map[placedName]int64
}

// placedName is what is unique: a name, among those of one parent.
type placedName struct {
	parent int64
	name   string
}

// link ties a member to what it is in.
type link struct {
	group   coscale.Kind
	groupID int64
	kind    coscale.Kind
	id      int64
}

func (l link) key() []byte {
	return fmt.Appendf(nil, "%s/%d/%s/%d", l.group, l.groupID, l.kind, l.id)
}

// linkKey is the key of all members of one kind of a group, or of all groups of one kind that a
// member is in.
type linkKey struct {
	kind  coscale.Kind
	id    int64
	other coscale.Kind
}

// openRegistry reads what is kept in a folder; an empty one is none. Ids begin
// at 1; where they end with the process, at the time, since clients that keep
// them would otherwise send to what another has made after a restart.
func openRegistry(folder string, now time.Time, logger log.Logger, fatal func(error), fs fsx.FS) (*registry, error) {
	r := &registry{
		tables: make(map[coscale.Kind]*table), next: make(map[coscale.Kind]int64),
		links: make(map[link]uint64), members: make(map[linkKey][]int64), holders: make(map[linkKey][]int64),
		metas: make(map[int64]*record.Meta), eventMetas: make(map[int64]*record.EventMeta),
	}
	for kind := range kinds {
		r.tables[kind] = &table{byID: make(map[int64]*object), sizes: make(map[int64]int), byName: make(map[placedName]int64)}
	}
	if folder == "" {
		for _, kind := range []coscale.Kind{coscale.Servers, coscale.ServerGroups, coscale.Metrics, coscale.MetricGroups, coscale.Dimensions, coscale.Categories, attributeIDs, eventIDs} {
			r.next[kind] = now.UnixMilli()
		}
		return r, nil
	}
	var err error
	if r.disk, err = openDisk(folder, logger, fatal, fs); err != nil {
		return nil, err
	}
	if err := r.load(); err != nil {
		return nil, errors.Join(err, r.disk.close())
	}
	return r, nil
}

func (r *registry) load() error {
	err := errors.Join(
		r.disk.each(nextBucket, func(key, value []byte) error {
			if len(value) != 8 {
				return errors.New("it is no number")
			}
			r.next[coscale.Kind(key)] = int64(binary.BigEndian.Uint64(value))
			return nil
		}),
		r.disk.each(objectBucket, func(key, value []byte) error {
			kind, _, _ := strings.Cut(string(key), "\x00")
			o := new(object)
			if err := json.Unmarshal(value, o); err != nil {
				return err
			}
			if r.tables[coscale.Kind(kind)] == nil {
				return errors.New("it is of no known kind")
			}
			r.put(coscale.Kind(kind), o, len(value))
			return nil
		}),
		r.disk.each(eventBucket, func(_, value []byte) error {
			e := new(coscale.EventData)
			if err := json.Unmarshal(value, e); err != nil {
				return err
			}
			r.events.put(e)
			return nil
		}),
	)
	if err != nil {
		return err
	}
	r.unanswered = r.events.lastEvents()
	return r.loadLinks()
}

func (r *registry) loadLinks() error {
	var all []link
	err := r.disk.each(linkBucket, func(key, value []byte) error {
		parts := strings.Split(string(key), "/")
		if len(parts) != 4 || len(value) != 8 {
			return errors.New("it is no link")
		}
		groupID, err1 := strconv.ParseInt(parts[1], 10, 64)
		id, err2 := strconv.ParseInt(parts[3], 10, 64)
		l := link{coscale.Kind(parts[0]), groupID, coscale.Kind(parts[2]), id}
		r.links[l] = binary.BigEndian.Uint64(value)
		all = append(all, l)
		return errors.Join(err1, err2)
	})
	slices.SortFunc(all, func(a, b link) int { return int(int64(r.links[a]) - int64(r.links[b])) })
	for _, l := range all {
		r.tie(l, r.links[l])
	}
	return err
}

func (r *registry) close() error { return r.disk.close() }

// nextID is the next id of a kind; the row makes it taken. The caller holds
// changing.
func (r *registry) nextID(kind coscale.Kind) (int64, change) {
	id := max(r.next[kind], 1)
	return id, change{nextBucket, []byte(kind), numberKey(id + 1)}
}

// commit writes changes, and then lets apply do the same in memory. The caller
// holds changing.
func (r *registry) commit(changes []change, apply func()) error {
	err := r.disk.write(changes)
	if errors.Is(err, errLost) {
		var rows []change
		if rows, err = r.rows(); err == nil {
			err = r.disk.renew(append(rows, changes...))
		}
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	apply()
	return nil
}

// rows are all rows of the file, as they are in memory. The caller holds changing.
func (r *registry) rows() ([]change, error) {
	var rows []change
	for kind, s := range r.tables {
		for id, o := range s.byID {
			row, err := rowOf(objectBucket, objectKey(kind, id), o)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	for id, e := range r.events.byID {
		row, err := rowOf(eventBucket, numberKey(id), e)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	for l, at := range r.links {
		rows = append(rows, change{linkBucket, l.key(), numberKey(int64(at))})
	}
	for kind, next := range r.next {
		rows = append(rows, change{nextBucket, []byte(kind), numberKey(next)})
	}
	return rows, nil
}

// put keeps an object in memory; o.ID may be there before.
func (r *registry) put(kind coscale.Kind, o *object, size int) {
	s := r.tables[kind]
	if old := s.byID[o.ID]; old != nil {
		r.discard(kind, old)
	}
	s.byID[o.ID] = o
	s.sizes[o.ID] = size
	s.byName[placedName{o.ParentID, o.Name}] = o.ID
	r.bytes += size
	if o.ParentID != 0 {
		at := linkKey{kind, o.ParentID, kind}
		r.members[at] = append(r.members[at], o.ID)
	}
	r.invalidate(kind, o.ID)
	r.version++
}

// discard removes an object from memory.
func (r *registry) discard(kind coscale.Kind, o *object) {
	s := r.tables[kind]
	r.bytes -= s.sizes[o.ID]
	delete(s.byID, o.ID)
	delete(s.sizes, o.ID)
	delete(s.byName, placedName{o.ParentID, o.Name})
	if o.ParentID != 0 {
		without(r.members, linkKey{kind, o.ParentID, kind}, o.ID)
	}
	r.invalidate(kind, o.ID)
	r.version++
}

// tie and untie add a link in memory and remove it.
func (r *registry) tie(l link, at uint64) {
	r.links[l] = at
	r.lastOne = max(r.lastOne, at)
	in, of := linkKey{l.group, l.groupID, l.kind}, linkKey{l.kind, l.id, l.group}
	r.members[in] = append(r.members[in], l.id)
	r.holders[of] = append(r.holders[of], l.groupID)
	r.invalidateLink(l)
	r.version++
}

func (r *registry) untie(l link) {
	delete(r.links, l)
	without(r.members, linkKey{l.group, l.groupID, l.kind}, l.id)
	without(r.holders, linkKey{l.kind, l.id, l.group}, l.groupID)
	r.invalidateLink(l)
	r.version++
}

// without takes an id from a list.
func without(lists map[linkKey][]int64, at linkKey, id int64) {
	ids := lists[at]
	if i := slices.Index(ids, id); i >= 0 {
		ids = slices.Delete(ids, i, i+1)
	}
	if lists[at] = ids; len(ids) == 0 {
		delete(lists, at)
	}
}

// find gives an object; nil when there is none.
func (r *registry) find(kind coscale.Kind, id int64) *object {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tables[kind].byID[id]
}

// all gives the objects of a kind in the order of their ids.
func (r *registry) all(kind coscale.Kind) []*object {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*object, 0, len(r.tables[kind].byID))
	for _, o := range r.tables[kind].byID {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *object) int { return int(a.ID - b.ID) })
	return list
}

// named gives the object of that name and parent; nil when there is none.
func (r *registry) named(kind coscale.Kind, parent int64, name string) *object {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.tables[kind]
	return s.byID[s.byName[placedName{parent, name}]]
}

// membersOf gives what is linked to an object, in the order of linking.
func (r *registry) membersOf(group coscale.Kind, id int64, kind coscale.Kind) []*object {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []*object{}
	for _, m := range r.members[linkKey{group, id, kind}] {
		list = append(list, r.tables[kind].byID[m])
	}
	return list
}

func full(format string, args ...any) error {
	return refusal(http.StatusForbidden, "full", "FULL", format+"; remove some", args...)
}
