//go:build otorcontrol

package server

import "os"

func init() {
	control = func() Control {
		what := os.Getenv("OTOR_CONTROL")
		return Control{NoDedup: what == "no-dedup", NoSync: what == "no-sync", NoChild: what == "no-child"}
	}
}
