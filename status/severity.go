package status

import "slices"

// Severity is the highest of what is in an overview.
func (o *Overview) Severity() (most Severity) {
	for _, s := range o.Scripts {
		most = max(most, s.Severity())
	}
	for _, r := range o.Receivers {
		most = max(most, r.Severity())
	}
	for _, u := range o.Uploads {
		most = max(most, u.State.Severity())
	}
	if o.Textfile != nil {
		most = max(most, o.Textfile.State.Severity())
	}
	if !o.Config.OK {
		most = max(most, Minor)
	}
	return most
}

// Urgency orders scripts by what wants looking at: what fails, what says of itself
// that something does, then what loses lines. Of the rest none is before another.
func Urgency(s State, refused int) int {
	switch {
	case s == Failing:
		return 0
	case s == Critical:
		return 1
	case s.Severity() > Fine:
		return 2
	case refused > 0:
		return 3
	}
	return 4
}

// Severity is that of the script's state, or of the lines that it lost.
func (s *Script) Severity() Severity {
	if s.Refused > 0 {
		return max(s.State.Severity(), Minor)
	}
	return s.State.Severity()
}

// Severity is that of the receiver's state, or of what it lost.
func (r *Receiver) Severity() Severity {
	if r.Refused > 0 || r.Cause != "" {
		return max(r.State.Severity(), Minor)
	}
	return r.State.Severity()
}

// Only leaves what has one of these names, and gives the first name that nothing
// has. How the configuration is then counts no more.
func (o *Overview) Only(names []string) (unknown string, ok bool) {
	known := o.Names()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return name, false
		}
	}
	o.Scripts = slices.DeleteFunc(o.Scripts, func(s Script) bool { return !slices.Contains(names, s.Name) })
	o.Receivers = slices.DeleteFunc(o.Receivers, func(r Receiver) bool { return !slices.Contains(names, r.Name) })
	o.Uploads = slices.DeleteFunc(o.Uploads, func(u Upload) bool { return !slices.Contains(names, u.Name) })
	o.Config, o.Textfile = Configuration{OK: true, At: o.Config.At}, nil
	o.count()
	return "", true
}

// Names are those of all scripts, receivers and uploads.
func (o *Overview) Names() (names []string) {
	for _, s := range o.Scripts {
		names = append(names, s.Name)
	}
	for _, r := range o.Receivers {
		names = append(names, r.Name)
	}
	for _, u := range o.Uploads {
		names = append(names, u.Name)
	}
	return names
}

// count fills in how many there are.
func (o *Overview) count() {
	o.States, o.Series = make(map[State]int), 0
	for _, s := range States() {
		o.States[s] = 0
	}
	for _, s := range o.Scripts {
		o.States[s.State]++
		o.Series += s.Series
	}
	for _, r := range o.Receivers {
		o.Series += r.Series
	}
}
