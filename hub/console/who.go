package console

import (
	"strings"

	"otor/internal/webui"
)

// whoWords says who acted. Operators go by their names; the hub calls those who have none
// in English, since the ledger is read by programs too.
func whoWords(w *webui.Words, by string) string {
	if name, ok := strings.CutPrefix(by, "command line ("); ok {
		return w.T("who.command_line", "name", strings.TrimSuffix(name, ")"))
	}
	switch by {
	case "owner of this machine":
		return w.T("who.owner")
	case "office":
		return w.T("who.office")
	case "hub":
		return w.T("who.hub")
	}
	return by
}
