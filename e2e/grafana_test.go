package e2e

import (
	"path/filepath"
	"testing"

	panels "github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// TestGrafanaReads has Grafana's own types read the dashboards: no field that they do
// not know, none that is missing or of another kind.
func TestGrafanaReads(t *testing.T) {
	panels.RegisterDefaultPlugins() // and queries
	for file := range boards {
		text := []byte(readFile(t, filepath.Join(boardFolder, file)))
		var d dashboard.Dashboard                                                //nolint:staticcheck // version 2 is not read by the Grafana that many have
		if err := d.UnmarshalJSONStrict(text); err != nil && err.Error() != "" { // without a fault it is an empty list
			t.Errorf("%s: %v", file, err)
			continue
		}
		if err := d.Validate(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
