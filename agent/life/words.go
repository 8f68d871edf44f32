package life

import "otor/internal/entry"

// Words says for people why a life began.
func Words(r entry.Reason) string {
	switch r {
	case entry.Installed:
		return "the device was enrolled"
	case entry.Restored:
		return "the folder was put back from a copy"
	case entry.Moved:
		return "the folder was copied or moved here"
	case entry.Diverged:
		return "the hub has another history of this device"
	case entry.Reenrolled:
		return "the device was enrolled again"
	case entry.Damaged:
		return "files of the folder were lost"
	}
	return "the reason is not known to this version"
}
