package coscale

import (
	"encoding/json"
	"hash/maphash"
	"slices"

	"scriptbridge/upload/spool"
)

// unitOf is a unit of a name, with its suffix.
type unitOf struct{ name, unit string }

// unitsPrefix begins the keys of the units of names: lists of texts, as JSON.
const unitsPrefix = "units/"

// key is where the units of the name are.
func (of unitOf) key() string { return stateKey("units", of.name) }

// units are what the spool's state has of units: digests of those that are known
// to be there, and the keys of the names that have more than one, which are few.
type units struct {
	seeds   [2]maphash.Seed
	text    []byte
	noted   map[digest128]struct{}
	several map[string]bool
	read    bool // several has what there was at the beginning
}

// notedMost bounds units.noted.
const notedMost = 1 << 20

func newUnits() units {
	return units{seeds: newSeeds(), noted: make(map[digest128]struct{}), several: make(map[string]bool)}
}

func (n *units) digest(of unitOf) digest128 {
	n.text = append(append(append(n.text[:0], of.name...), 0), of.unit...)
	return digestOf(&n.seeds, n.text)
}

func (n *units) note(of unitOf) {
	if len(n.noted) >= notedMost {
		clear(n.noted)
	}
	n.noted[n.digest(of)] = struct{}{}
}

// note remembers that a metric of this name has this unit. From the time on
// when a name is known with two, each metric of that name carries its unit in
// its own; what is known stays known, in the spool's state, so that in the end
// the names do not depend on who came first.
func (u *Uploader) note(p *put, f *fact) {
	of := unitOf{f.name + f.suffix, f.unit}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.units.noted[u.units.digest(of)]; !known {
		p.units[of] = true
	}
}

// addUnit notes a unit, and says whether the name has more than one.
func addUnit(tx *spool.Tx, of unitOf) (several bool, err error) {
	all := readUnits(tx.Get(of.key()))
	if slices.Contains(all, of.unit) {
		return len(all) > 1, nil
	}
	text, err := json.Marshal(append(all, of.unit))
	if err != nil {
		return false, err
	}
	return len(all) > 0, tx.Set(of.key(), text)
}

func readUnits(text []byte) []string {
	var units []string
	if json.Unmarshal(text, &units) != nil {
		return nil
	}
	return units
}

// readSeveral reads which names have more than one unit.
func (u *Uploader) readSeveral() error {
	if u.units.read {
		return nil
	}
	var keys []string
	err := u.spool.View(func(tx *spool.Tx) error {
		keys = nil
		for key, text := range tx.Each(unitsPrefix) {
			if len(readUnits(text)) > 1 {
				keys = append(keys, key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, key := range keys {
		u.units.several[key] = true
	}
	u.units.read = true
	return nil
}

// names are what metrics are called at the other end.
func (u *Uploader) names(facts []fact) ([]string, error) {
	if err := u.readSeveral(); err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	names := make([]string, len(facts))
	for i := range facts {
		f := &facts[i]
		names[i] = f.name
		if f.unit != "" && len(u.units.several) > 0 && u.units.several[unitOf{f.name + f.suffix, ""}.key()] {
			names[i] += " (" + f.unit + ")"
		}
		names[i] += f.suffix
	}
	return names, nil
}
