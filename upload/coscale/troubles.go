package coscale

// troubles are those that are remembered, and how many of each class those are.
type troubles struct {
	byKey map[string]*trouble
	of    [classes]int
}

// at gives the one of a key, perhaps a new one.
func (all *troubles) at(c class, key string) *trouble {
	t := all.byKey[key]
	if t == nil {
		t = &trouble{class: c}
		if len(all.byKey) < mostTroubles {
			all.byKey[key] = t
			all.of[c]++
		}
	}
	return t
}

// settled forgets the one of a key, if there is one.
func (all *troubles) settled(key string) {
	if t := all.byKey[key]; t != nil {
		delete(all.byKey, key)
		all.of[t.class]--
	}
}

// drop forgets some.
func (all *troubles) drop(some func(*trouble) bool) {
	for key, t := range all.byKey {
		if some(t) {
			all.settled(key)
		}
	}
}
