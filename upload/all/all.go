// Package all is the table of all types of upload.
package all

import (
	"scriptbridge/upload"
	"scriptbridge/upload/coscale"
	"scriptbridge/upload/instrumental"
	"scriptbridge/upload/remotewrite"
)

// Types is that table. Its order is that of the pages.
var Types = upload.Types{
	coscale.Type,
	instrumental.Type,
	remotewrite.Type,
}
