package e2e_test

import (
	"os"
	"testing"

	"otor/internal/e2e"
)

func TestMain(m *testing.M) { os.Exit(e2e.Build(m)) }
