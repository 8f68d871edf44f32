//go:build otorcontrol

package server

import (
	"os"
	"strconv"
	"strings"
	"time"
)

func init() {
	control = func() Control {
		what := os.Getenv("OTOR_CONTROL")
		c := Control{NoDedup: what == "no-dedup", NoSync: what == "no-sync", NoChild: what == "no-child"}
		if what == "hasty" {
			c.Hasty = 3 * time.Second
		}
		if file := os.Getenv("OTOR_CLOCK"); file != "" {
			c.Now = func() time.Time { return time.Now().Add(offBy(file)) }
		}
		return c
	}
}

// offBy reads by how many seconds the hub's clock is off just now.
func offBy(file string) time.Duration {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0 // it is being written
	}
	return time.Duration(seconds) * time.Second
}
