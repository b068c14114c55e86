package coscale

import (
	"hash/maphash"
	"strconv"

	"scriptbridge/upload/spool"
)

// ids are the ids of objects at the other end. All of them are in the spool's
// state, by the names of the objects. In memory are those of the series that are
// sent, without their names, and a few of the latest. Run's alone.
type ids struct {
	seeds   [2]maphash.Seed
	text    []byte // of the key that is made
	targets map[digest128]target
	recent  map[string]int64 // by key of the state
	unsaved map[string]int64 // what the state does not have yet
}

// target is what a series is at the other end.
type target struct{ metric, subject int64 }

// digest128 stands for a text, in this process alone.
type digest128 [2]uint64

func newSeeds() [2]maphash.Seed { return [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()} }

func digestOf(seeds *[2]maphash.Seed, text []byte) digest128 {
	return digest128{maphash.Bytes(seeds[0], text), maphash.Bytes(seeds[1], text)}
}

// Bounds on the ids in memory: targetsMost takes 60 MB, if there is so much.
const (
	targetsMost = 1 << 20
	recentMost  = 10_000
	unsavedMost = 1000
)

func newIDs() ids {
	return ids{
		seeds:   newSeeds(),
		targets: make(map[digest128]target), recent: make(map[string]int64), unsaved: make(map[string]int64),
	}
}

// of is the key of a series' target: all that decides what is made for it.
func (i *ids) of(s *series) digest128 {
	t := append(i.text[:0], byte(s.subject.Kind))
	for _, part := range []string{s.subject.Name, s.name, s.fact.groups, s.fact.tags} {
		t = append(append(t, part...), 0)
	}
	for _, l := range s.labels {
		t = append(append(t, l.Name...), 0)
	}
	i.text = t
	return digestOf(&i.seeds, t)
}

func (i *ids) setTarget(key digest128, t target) {
	if len(i.targets) >= targetsMost {
		clear(i.targets)
	}
	i.targets[key] = t
}

func (i *ids) remember(key string, id int64) {
	if len(i.recent) >= recentMost {
		clear(i.recent)
	}
	i.recent[key] = id
}

func (i *ids) clear() {
	clear(i.targets)
	clear(i.recent)
	clear(i.unsaved)
}

// lookup gives the id that is known by a key; 0 for none.
func (u *Uploader) lookup(key string) (int64, error) {
	if id, ok := u.ids.unsaved[key]; ok {
		return id, nil
	}
	if id, ok := u.ids.recent[key]; ok {
		return id, nil
	}
	var id int64
	err := u.spool.View(func(tx *spool.Tx) error {
		id, _ = strconv.ParseInt(string(tx.Get(key)), 10, 64) // what is no number is nothing
		return nil
	})
	if err == nil && id != 0 {
		u.ids.remember(key, id)
	}
	return id, err
}

// save keeps an id. It is on disk after saveIDs: who is ended before that asks for
// it once more, and is told the same.
func (u *Uploader) save(key string, id int64) error {
	u.made++
	u.ids.unsaved[key] = id
	if len(u.ids.unsaved) < unsavedMost {
		return nil
	}
	return u.saveIDs()
}

// saveIDs brings to disk what save has kept since.
func (u *Uploader) saveIDs() error {
	if len(u.ids.unsaved) == 0 {
		return nil
	}
	err := u.spool.Update(func(tx *spool.Tx) error {
		for key, id := range u.ids.unsaved {
			if err := tx.Set(key, strconv.AppendInt(nil, id, 10)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, id := range u.ids.unsaved {
		u.ids.remember(key, id)
	}
	clear(u.ids.unsaved)
	return nil
}
