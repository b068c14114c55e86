package script

import (
	"os"
	"testing"

	"scriptbridge/internal/trust/trusttest"
)

func TestMain(m *testing.M) {
	leave, err := trusttest.Enter("..")
	if err != nil {
		panic(err)
	}
	code := m.Run()
	leave()
	os.Exit(code)
}
