package server

import "otor/hub/access"

// officeActs says what each route of the office takes. A route without a line
// here is for whoever reads the hub's folder alone.
var officeActs = map[string]access.Act{
	"GET " + officePath + "devices":                  access.View,
	"GET " + officePath + "fleet":                    access.View,
	"GET " + officePath + "gaps":                     access.View,
	"GET " + officePath + "items":                    access.View,
	"GET " + officePath + "findings":                 access.View,
	"GET " + officePath + "entries":                  access.View,
	"GET " + officePath + "photos":                   access.View,
	"GET " + officePath + "photos/{photo}":           access.View,
	"GET " + officePath + "unattributed":             access.Audit,
	"GET " + officePath + "ledger":                   access.Audit,
	"GET " + officePath + "ledger/check":             access.Audit,
	"POST " + officePath + "items/{id}/decide":       access.Decide,
	"POST " + officePath + "gaps/seal":               access.Decide,
	"POST " + officePath + "aside":                   access.Decide,
	"POST " + officePath + "statements":              access.Sign,
	"POST " + officePath + "exports":                 access.Export,
	"GET " + officePath + "rosters":                  access.Roster,
	"GET " + officePath + "rosters/{kind}":           access.Roster,
	"POST " + officePath + "rosters/{kind}":          access.Roster,
	"POST " + officePath + "rosters/{kind}/decide":   access.Roster,
	"POST " + officePath + "devices":                 access.Devices,
	"POST " + officePath + "devices/{device}/revoke": access.Devices,
	"POST " + officePath + "devices/{device}/scopes": access.Devices,
	"POST " + officePath + "devices/life":            access.Devices,
	"POST " + officePath + "confirm":                 access.Devices,
	"POST " + officePath + "backup":                  access.Backup,
	"POST " + officePath + "photos/check":            access.Backup,
	"GET " + officePath + "packs":                    access.View,
	"POST " + officePath + "packs":                   access.Packs,
	"POST " + officePath + "packs/check":             access.Packs,

	"GET " + officePath + "operators":                 access.Operators,
	"POST " + officePath + "operators":                access.Operators,
	"POST " + officePath + "operators/{name}/disable": access.Operators,
	"POST " + officePath + "operators/{name}/enable":  access.Operators,
	"POST " + officePath + "operators/{name}/reset":   access.Operators,
}
