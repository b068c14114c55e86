// Package all is the table of dialects.
package all

import (
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/coscale"
	"scriptbridge/script/dialect/instrumental"
	"scriptbridge/script/dialect/nagios"
	"scriptbridge/script/dialect/prometheus"
	"scriptbridge/script/dialect/scalyr"
	"scriptbridge/script/dialect/textfile"
)

// Dialects is the table. A new dialect is one folder and one line here.
var Dialects = dialect.Table{
	coscale.Dialect{},
	instrumental.Dialect{},
	nagios.Dialect{},
	prometheus.Dialect{},
	scalyr.Dialect{},
	textfile.Dialect{},
}
