package e2e_test

import (
	"os"
	"testing"

	"otor/hub/broker/nodes"
	"otor/hub/store/postgres/scratch"
	"otor/internal/e2e"
)

func TestMain(m *testing.M) {
	nodes.Main()
	code := e2e.Build(m)
	scratch.Stop()
	os.Exit(code)
}
