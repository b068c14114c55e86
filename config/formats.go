package config

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	promconfig "github.com/prometheus/common/config"
	"golang.org/x/net/http/httpguts"

	"scriptbridge/config/cmdline"
	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/crontab"
	"scriptbridge/internal/fsx"
)

const (
	// longestName bounds a script's name, in bytes.
	longestName = 128
	// longestLabel bounds the value of a label, in bytes.
	longestLabel = 1 << 10
)

var (
	prefixForm = regexp.MustCompile(`^([a-z_][a-z0-9_]*)?$`)
	labelForm  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

	uploadNameForm = regexp.MustCompile(`^[a-z0-9_-]+$`)
)

// format is a form that a text may have to have.
type format struct {
	// read makes of the text what is meant, or says what is wrong with it.
	read  func(e *entry, s string) (string, *yamltree.Problem)
	empty bool // also for read to judge
}

// formats are those that the tag format names.
var formats = map[string]format{
	"path":        {read: readPath},
	"file":        {read: readFile},
	"secret file": {read: readSecretName},
	"path or -": {read: func(e *entry, s string) (string, *yamltree.Problem) {
		if s == "-" {
			return s, nil
		}
		return readFile(e, s)
	}},
	"address":       {read: readAddress, empty: true},
	"name":          {read: checked(checkName)},
	"prefix":        {read: checked(checkPrefix)},
	"url path":      {read: checked(checkURLPath)},
	"name part":     {read: checked(checkNamePart)},
	"schedule":      {read: readSchedule},
	"umask":         {read: checked(checkUmask)},
	"upload name":   {read: checked(checkUploadName)},
	"url":           {read: checked(httpURL("https://prometheus.example.com/api/v1/write", "basic_auth with password_file"))},
	"token url":     {read: checked(httpURL("https://login.example.com/oauth2/token", "client_id and client_secret_file"))},
	"proxy url":     {read: checked(checkProxyURL)},
	"regexp":        {read: checked(checkRegexp)},
	"variable name": {read: checked(func(s string) *yamltree.Problem { return checkEnv(s, "") })},
}

// mapFormat is that of the names in a map, and of their texts.
type mapFormat struct {
	check func(name, text string) *yamltree.Problem
	// one gives two names that mean one thing the same form; nil: each name means its own.
	one func(name string) string
}

var mapFormats = map[string]mapFormat{
	"label":          {check: checkLabel},
	"external label": {check: checkLabelName},
	"variable":       {check: checkEnv, one: oneVariable},
	"parameter":      {check: checkParameterName},
	"header":         {check: checkHeader, one: http.CanonicalHeaderKey},
	"text":           {},
}

// oneVariable knows that variables of Windows have no case.
func oneVariable(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

// readSchedule reads a schedule of cron.
func readSchedule(_ *entry, s string) (string, *yamltree.Problem) {
	schedule, err := crontab.Parse(s)
	if e, ok := errors.AsType[*crontab.Error](err); ok {
		return "", &yamltree.Problem{Text: e.Problem, Remedy: e.Remedy}
	}
	return schedule.String(), nil
}

func checked(check func(s string) *yamltree.Problem) func(*entry, string) (string, *yamltree.Problem) {
	return func(_ *entry, s string) (string, *yamltree.Problem) { return s, check(s) }
}

// readPath makes a path absolute, from the folder of the file.
func readPath(e *entry, s string) (string, *yamltree.Problem) {
	return fsx.Absolute(e.folder, s), cmdline.DriveRelative(s)
}

// readFile reads the path of a file, or of a folder of files, that the bridge
// obeys: as root it obeys nothing that others may change.
func readFile(e *entry, s string) (string, *yamltree.Problem) {
	s, p := inCredentials(s)
	if p != nil {
		return s, p
	}
	if p := cmdline.DriveRelative(s); p != nil {
		return s, p
	}
	path := fsx.Absolute(e.folder, s)
	if e.load == nil {
		return path, nil
	}
	return path, e.load.obeyed(path, wayOut)
}

// readAddress reads HOST:PORT. Without a host it is loopback: what is received is
// not from the whole world unless an address says so.
func readAddress(_ *entry, s string) (string, *yamltree.Problem) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		remedy := "write it like 127.0.0.1:8125"
		if _, err := strconv.ParseUint(s, 10, 16); err == nil {
			remedy = "write 127.0.0.1:" + s + " for this machine alone, 0.0.0.0:" + s + " for all"
		} else if s != "" && !strings.ContainsAny(s, ":[] ") {
			remedy = "write its port too, as in " + s + ":8125"
		}
		return "", yamltree.Problemf(remedy, "%q is not an address", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", yamltree.Problemf("write a number from 1 to 65535", "%q has no such port", s)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// checkName takes what can be shown: names are a label's value, words on the
// status page and in the log, and the end of the address of the script's page.
func checkName(name string) *yamltree.Problem {
	switch {
	case name == "":
		return yamltree.Problemf("give it a value", "is empty")
	case strings.TrimSpace(name) != name:
		return yamltree.Problemf("give another name:", "%q begins or ends with a blank", name)
	case name == "." || name == ".." || name == "/" || name == string(filepath.Separator):
		return yamltree.Problemf("give another name:", "%q cannot be the end of an address, and so have a page", name)
	case len(name) > longestName:
		return yamltree.Problemf("give a shorter name:", "has %d bytes, more than %d", len(name), longestName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return yamltree.Problemf("give another name:", "%q has characters that cannot be printed", name)
	}
	return nil
}

func checkPrefix(s string) *yamltree.Problem {
	if !prefixForm.MatchString(s) {
		return yamltree.Problemf("it takes a-z, 0-9 and _, no digit first", "%q cannot begin a metric's name", s)
	}
	return nil
}

// checkLabelName takes a label that Prometheus takes.
func checkLabelName(name, _ string) *yamltree.Problem {
	switch {
	case !labelForm.MatchString(name):
		return yamltree.Problemf("it takes letters, digits and _, no digit first", "cannot be a label's name")
	case strings.HasPrefix(name, "__"):
		return yamltree.Problemf("begin it otherwise", "is a name that Prometheus keeps to itself")
	}
	return nil
}

func checkLabel(name, text string) *yamltree.Problem {
	p := checkLabelName(name, text)
	switch {
	case p != nil:
		return p
	case name == "script":
		return yamltree.Problemf("set name: instead", "is the label that holds the script's name")
	case name == "le" || name == "quantile":
		return yamltree.Problemf("give it another name", "is the label that Prometheus has on the parts of histograms and summaries")
	case len(text) > longestLabel:
		return yamltree.Problemf(fmt.Sprintf("at most %d bytes", longestLabel), "has too long a text")
	}
	return nil
}

func checkEnv(name, text string) *yamltree.Problem {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		return yamltree.Problemf("give it another name, without =", "cannot be the name of a variable")
	case strings.Contains(text, "\x00"):
		return yamltree.Problemf("leave it out", "has a text with a NUL in it")
	}
	return nil
}

// checkURLPath takes the path of an endpoint.
func checkURLPath(s string) *yamltree.Problem {
	if !strings.HasPrefix(s, "/") || s == "/" || strings.HasSuffix(s, "/") || strings.ContainsAny(s, "{}?#% \t") {
		return yamltree.Problemf("write it like /collectd-post", "%q is not a plain path", s)
	}
	return nil
}

// checkUmask takes an octal number, as the shell's umask does.
func checkUmask(s string) *yamltree.Problem {
	if _, ok := (&Confinement{Umask: s}).Mask(); !ok {
		return yamltree.Problemf("write it in octal, like 027", "%q is not a umask", s)
	}
	return nil
}

// Mask gives the umask as a number; false where there is none.
func (c *Confinement) Mask() (mask uint32, ok bool) {
	n, err := strconv.ParseUint(c.Umask, 8, 32)
	return uint32(n), err == nil && n <= 0o777
}

// checkNamePart takes the beginning of a name that an upload sends.
func checkNamePart(s string) *yamltree.Problem {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	if strings.Trim(strings.ToLower(s), letters+"0123456789._-") != "" {
		return yamltree.Problemf("use ASCII letters, digits, ., _ and -", "%q cannot be used in a name", s)
	}
	return nil
}

func checkParameterName(name, _ string) *yamltree.Problem {
	switch {
	case name == "script":
		return yamltree.Problemf("give it another name", "is what a request names the script by")
	case !labelForm.MatchString(name):
		return yamltree.Problemf("it takes letters, digits and _, no digit first", "cannot be a parameter's name")
	}
	return nil
}

// checkUploadName takes what can be a part of a file's name, and of a label's value.
func checkUploadName(s string) *yamltree.Problem {
	switch {
	case !uploadNameForm.MatchString(s):
		return yamltree.Problemf("it takes a-z, 0-9, _ and -", "%q cannot be the name of a destination", s)
	case len(s) > longestName:
		return yamltree.Problemf("give a shorter name:", "has %d bytes, more than %d", len(s), longestName)
	}
	return nil
}

// httpURL takes the address of what is sent to, such as example, in which instead takes
// the place of a user. No message shows a password.
func httpURL(example, instead string) func(s string) *yamltree.Problem {
	return func(s string) *yamltree.Problem {
		u, err := url.Parse(s)
		switch {
		case hasUser(s, u):
			return yamltree.Problemf("leave it out, and use "+instead, "has a user in it")
		case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
			return yamltree.Problemf("write it like "+example, "%q is not one of http or https", s)
		case strings.Contains(s, "#"):
			return yamltree.Problemf("leave out the # and what follows it", "%q has a fragment", s)
		}
		return nil
	}
}

// checkProxyURL takes the address of a proxy.
func checkProxyURL(s string) *yamltree.Problem {
	u, err := url.Parse(s)
	switch {
	case hasUser(s, u):
		return yamltree.Problemf("leave it out; with proxy_from_environment: true the variable HTTPS_PROXY can have one", "has a user in it")
	case err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme):
		return yamltree.Problemf("write it like http://proxy.example.com:3128", "%q is not one of http, https or socks5", s)
	}
	return nil
}

// hasUser says whether a text, which is the URL u unless that is nil, has a user in it, or
// seems to.
func hasUser(s string, u *url.URL) bool {
	if u == nil || u.Host == "" {
		return strings.Contains(s, "@")
	}
	return u.User != nil
}

// checkHeader takes a header of HTTP that no other key, and not the protocol, sets.
func checkHeader(name, text string) *yamltree.Problem {
	_, reserved := promconfig.ReservedHeaders[http.CanonicalHeaderKey(name)]
	switch {
	case strings.EqualFold(name, "Authorization"):
		return yamltree.Problemf("use basic_auth, authorization or oauth2", "is a header that holds a secret")
	case reserved:
		return yamltree.Problemf("leave it out", "is a header that the protocol sets itself")
	}
	return checkHeaderForm(name, text)
}

// checkHeaderForm takes any header.
func checkHeaderForm(name, text string) *yamltree.Problem {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return yamltree.Problemf("it takes letters, digits and -", "cannot be a header's name")
	case !httpguts.ValidHeaderFieldValue(text):
		return yamltree.Problemf("write it in one line", "has a text that no header can have")
	}
	return nil
}

// checkRegexp takes a regular expression.
func checkRegexp(s string) *yamltree.Problem {
	_, err := regexp.Compile(s)
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		return yamltree.Problemf(`a \ in front of a sign makes it an ordinary character`, "is not a regular expression: %s in %q", e.Code, e.Expr)
	}
	return nil
}
