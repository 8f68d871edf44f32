//go:build otorcontrol

package server

import "os"

func init() {
	control = func() Control { return Control{NoDedup: os.Getenv("OTOR_CONTROL") == "no-dedup"} }
}
