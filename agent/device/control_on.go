//go:build otorcontrol

package device

import "os"

func init() {
	control = func() Control { return Control{NoSync: os.Getenv("OTOR_CONTROL") == "no-sync"} }
}
