package cmdline

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// readers are programs that print what is elsewhere: in a file, or behind an address.
// A command of theirs is named by that, since it is what differs from one such
// command to the next. own is how many words of its own one has before the file.
var readers = map[string]leader{
	"cat": {}, "tac": {}, "zcat": {}, "gzcat": {}, "bzcat": {}, "xzcat": {}, "lzcat": {}, "zstdcat": {}, "gunzip": {takes: "S", values: "suffix"}, "gzip": {takes: "S", values: "suffix"},
	"bzip": {}, "bunzip": {}, "xz": {}, "unxz": {}, "zstd": {}, "unzstd": {},
	"head": {takes: "cn", values: "bytes lines"},
	"tail": {takes: "cns", values: "bytes lines max-unchanged-iters pid sleep-interval"},
	"grep": {own: 1, takes: "mABCdD"}, "egrep": {own: 1, takes: "mABCdD"}, "fgrep": {own: 1, takes: "mABCdD"}, "zgrep": {own: 1, takes: "mABC"},
	"sed": {own: 1}, "jq": {own: 1}, "yq": {own: 1},
	"curl": {addresses: true, takes: "AbCcdDeEFhHKmoPQrtTuUwxXyYz", values: "cacert capath cert cert-type ciphers config connect-timeout connect-to cookie cookie-jar data data-binary data-raw " +
		"data-urlencode form header interface key key-type limit-rate max-filesize max-time max-redirs netrc-file noproxy output pass proto proxy proxy-user range referer request " +
		"resolve retry retry-delay retry-max-time stderr tls-max tlsv1 trace unix-socket upload-file url-query user user-agent write-out"},
	"wget": {addresses: true, takes: "aeioBtOTwQPUlADRIX", values: "append-output ca-certificate certificate execute header input-file output-document output-file password post-data post-file " +
		"private-key quota timeout tries user user-agent wait"},
	"fetch": {addresses: true, takes: "BNoST"},
}

// packed are the last extensions of compressed files.
var packed = []string{".gz", ".bz2", ".xz", ".zst", ".lz", ".lzma", ".z"}

// Name gives the name of a script that has none: the stem of its own file, or of the
// program that the command runs behind wrappers; of a program that prints what is
// elsewhere, that of the file or the address.
func Name(words []string, program int) string {
	at := program
	if program == 0 {
		given, _ := follow(words, "", "")
		at = given.program
	}
	if reader, ok := readers[programName(words[at])]; ok {
		if name := reader.nameOfRead(words[at+1:]); name != "" {
			return name
		}
	}
	return Stem(words[at])
}

// nameOfRead makes a name of what a reader is given to read; "" where nothing in the
// words is.
func (l leader) nameOfRead(words []string) string {
	var operands []string
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "-" || w == "--":
		case strings.HasPrefix(w, "-"):
			i += l.option(w).values
		default:
			operands = append(operands, w)
		}
	}
	for i, w := range operands {
		switch {
		case strings.ContainsAny(w, "{}"): // it is another one in each probe
			return ""
		case strings.Contains(w, "://"):
			return nameOfAddress(w)
		case l.own > 0 && i < l.own && len(operands) > 1:
		case l.own > 0 && len(operands) == 1: // its own word: it reads standard input
			return ""
		default:
			if slices.ContainsFunc(operands[i+1:], func(o string) bool { return strings.Contains(o, "://") }) {
				continue
			}
			if l.addresses {
				return nameOfAddress("http://" + w)
			}
			return stemOfPacked(w)
		}
	}
	return ""
}

// nameOfAddress is host, port and path of a URL. What may be a secret in it, an
// account or a query, is no part.
func nameOfAddress(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	if u.Scheme == "file" {
		return stemOfPacked(u.Path)
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, u.Host+u.Path)
	return strings.Trim(name, "-.")
}

// stemOfPacked is Stem, behind the extension of a compressed file.
func stemOfPacked(path string) string {
	if slices.Contains(packed, strings.ToLower(filepath.Ext(path))) {
		path = strings.TrimSuffix(path, filepath.Ext(path))
	}
	return Stem(path)
}
