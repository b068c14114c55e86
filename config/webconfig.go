package config

import "regexp"

// bcryptForm is a hash of a password as exporter-toolkit takes it.
var bcryptForm = regexp.MustCompile(`^\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

// CheckWebConfig looks in the text of exporter-toolkit's configuration, which file
// names, for what the toolkit does not say well: that it is no YAML, and users
// without a hash of their password. No error shows a value.
func CheckWebConfig(file string, text []byte) error {
	r := new(report)
	root := parse(r, file, text)
	if users := root.get("basic_auth_users"); users != nil {
		e := &entry{report: r, file: file, thing: "basic_auth_users"}
		if users.value.kind != object && users.value.kind != null {
			e.fail(users.line, "write names and hashes beneath it, each as name: hash", "is %s, not a map", users.value.kind)
		}
		for _, user := range users.value.fields {
			hash, ft := user.value.single()
			if ft != nil || !bcryptForm.MatchString(hash) {
				e.fail(user.line, "htpasswd -nB "+ShellQuote(user.key)+" asks for the password and prints name and hash", "the password of %q is not a bcrypt hash", user.key)
			}
		}
	}
	return r.join(nil)
}
