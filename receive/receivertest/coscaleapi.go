package receivertest

import (
	"path/filepath"
	"testing"

	"scriptbridge/config"
)

// CoScaleToken is the access token that CoScaleConfig lets in.
const CoScaleToken = "open-sesame-open-sesame"

// CoScaleConfig is a receiver on a port of its own, or on the web port.
func CoScaleConfig(t testing.TB, folder string, listen ...string) *config.Receive {
	t.Helper()
	tokens := filepath.Join(folder, "tokens")
	WriteFile(t, tokens, "# of the shop\n"+CoScaleToken+"\n")
	return &config.Receive{CoScale: &config.ReceiveCoScale{
		AppID: "shop", AccessTokensFile: tokens, TTL: config.DefaultTTL, MaxSeries: config.DefaultMaxSeries, Listen: listen,
	}}
}
