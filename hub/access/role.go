package access

import (
	"slices"
	"strings"
)

// Role is what an operator is there for.
type Role string

// The roles, from the least to the most. A role can do all that those before it
// can, except that a reconciler does not dispatch and a dispatcher does not
// reconcile: the one works with what happened, the other with what must happen.
const (
	Viewer        Role = "viewer"
	Reconciler    Role = "reconciler"
	Dispatcher    Role = "dispatcher"
	Administrator Role = "administrator"
)

// Roles lists them.
var Roles = []Role{Viewer, Reconciler, Dispatcher, Administrator}

// Act is something that a role may or may not do.
type Act string

// The acts. Each route of the console and of its API names one.
const (
	View      Act = "view"      // see what lies in one's scopes, masked
	Export    Act = "export"    // take it away as a file
	Reveal    Act = "reveal"    // see a masked field, with a reason
	Decide    Act = "decide"    // settle conflicts, duplicates, quarantine, gaps
	Roster    Act = "roster"    // import official lists
	Sign      Act = "sign"      // sign statements
	Dispatch  Act = "dispatch"  // incidents, bulletins, who rides where
	Devices   Act = "devices"   // invite, revoke, confirm, grant
	Packs     Act = "packs"     // publish packs
	Operators Act = "operators" // add, change and shut out operators
	Audit     Act = "audit"     // read the ledger and the audit
	Backup    Act = "backup"    // back up; what was restored
)

// Acts lists them.
var Acts = []Act{View, Export, Reveal, Decide, Roster, Sign, Dispatch, Devices, Packs, Operators, Audit, Backup}

var may = map[Role][]Act{
	Viewer:        {View},
	Reconciler:    {View, Export, Reveal, Decide, Roster, Sign, Audit},
	Dispatcher:    {View, Export, Dispatch},
	Administrator: Acts,
}

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { _, ok := may[r]; return ok }

// May reports whether the role may do a. An unknown role may do nothing.
func (r Role) May(a Act) bool { return slices.Contains(may[r], a) }

// Within reports whether r may do nothing that of may not.
func (r Role) Within(of Role) bool {
	return r.Valid() && !slices.ContainsFunc(may[r], func(a Act) bool { return !of.May(a) })
}

// Everywhere is the scope that covers all others.
const Everywhere = "*"

// Covers reports whether one of the granted scopes covers a scope: it is that
// scope, it is [Everywhere], or it names a kind with all its members ("gacha:*").
// Data without a scope is covered by Everywhere alone.
func Covers(granted []string, scope string) bool {
	for _, g := range granted {
		kind, all := strings.CutSuffix(g, ":"+Everywhere)
		switch {
		case g == Everywhere, g == scope && scope != "":
			return true
		case all && strings.HasPrefix(scope, kind+":"):
			return true
		}
	}
	return false
}

// within reports whether each of the scopes is covered by the granted ones.
func within(scopes, granted []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !Covers(granted, s) })
}
