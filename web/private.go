package web

import (
	"fmt"
	"net/http"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"go.yaml.in/yaml/v2"

	"scriptbridge/internal/access"
	"scriptbridge/internal/fsx"
)

// Gate knows who may see what is private.
type Gate struct {
	// WebConfigFile is exporter-toolkit's file, empty when there is none. It
	// is read again each time, as exporter-toolkit does.
	WebConfigFile string
	Logger        log.Logger
}

// Hidden says why a request may not see the private parts of a page (output,
// standard error, arguments, configuration, texts of errors), or use a private
// endpoint; empty when it may: where users are configured, or on a loopback
// listener. What another site's page has in it gets nothing private even for
// those: that page could tell by the time it takes what a search finds. The request's server needs access.BaseContext and access.ConnContext.
func (g Gate) Hidden(r *http.Request) string {
	switch {
	case access.Embedded(r):
		return "a page of another site asked for this in a browser"
	case g.Authenticated(r):
		return ""
	case !access.ByLoopback(r):
		return "this page is served on an address that other machines can reach, and no users are configured"
	case access.ByProxy(r):
		return "a proxy passed this request on, so it may come from another machine"
	case !access.ByLocalName(r):
		return "this page was asked for by a name other than localhost"
	case !access.ByOwnUser(r):
		return "another user of this machine asked for this page, and no users are configured"
	}
	return ""
}

// Hidden is the Gate's for who mounts endpoints beside the pages.
func (s *Server) Hidden(r *http.Request) string { return s.gate.Hidden(r) }

// HasUsers reports whether users are configured, so that every request needs a
// password.
func (g Gate) HasUsers() (bool, error) {
	users, err := g.users()
	return len(users) > 0, err
}

// Authenticated reports whether the request comes from a configured user.
// exporter-toolkit has checked the password; that the name is looked up again
// keeps a file that changes between its reading and ours from opening a door.
func (g Gate) Authenticated(r *http.Request) bool {
	name, _, ok := r.BasicAuth()
	if !ok {
		return false
	}
	users, err := g.users()
	if err != nil {
		level.Warn(g.Logger).Log("msg", "the users of the web configuration could not be read", "err", err)
		return false
	}
	_, known := users[name]
	return known
}

// users gives the names of the configured users, none without a file.
func (g Gate) users() (map[string]string, error) {
	if g.WebConfigFile == "" {
		return nil, nil
	}
	text, err := fsx.ReadFile(g.WebConfigFile)
	if err != nil {
		return nil, err
	}
	var file struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	// By the package that exporter-toolkit reads it with, which bounds how deep it goes.
	if err := yaml.Unmarshal(text, &file); err != nil {
		// Not the error itself: it quotes the file.
		return nil, fmt.Errorf("%s is not the YAML it should be", g.WebConfigFile)
	}
	return file.Users, nil
}
