package arch

import (
	"slices"
	"strings"
)

// Edge is one import: a package of the module imports another, or a library.
type Edge struct {
	From string // path below the module
	To   string // own packages start with "./"
	Test bool   // by a test file
}

// to gives the imported package's path below the module.
func (e Edge) to() (string, bool) { return strings.CutPrefix(e.To, own) }

// Rule forbids imports.
type Rule struct {
	Name    string
	Reason  string
	Forbids func(Edge) bool
}

// Rules is the table for imports between the module's own packages.
var Rules = []Rule{
	{
		"sides never meet",
		"a device must work without a hub's code, and a hub without a device's: all that they share is the kernel's bytes",
		func(e Edge) bool {
			to, ok := e.to()
			return ok && !in(e.From, bothSides...) && (in(e.From, "agent") && in(to, "hub") || in(e.From, "hub") && in(to, "agent"))
		},
	},
	{
		"the kernel stands below",
		"what both sides must agree on cannot depend on what one of them does",
		func(e Edge) bool {
			to, ok := e.to()
			return ok && in(e.From, "internal") && !in(e.From, bothSides...) && in(to, "agent", "hub")
		},
	},
	{
		"rooms do not know their siblings",
		"the root wires the rooms; each declares the small interface that it needs, so that it can be read, tested and replaced alone",
		func(e Edge) bool {
			to, ok := e.to()
			if !ok || e.From == "agent" || e.From == "hub" || in(e.From, roots...) {
				return false // a main or a root
			}
			mine, theirs := room(e.From), room(to)
			return mine != "" && theirs != "" && mine != theirs && side(e.From) == side(to) && !excepted(e)
		},
	},
	{
		"no room opens a store's implementation",
		"a room that knows which database it has cannot be given the other",
		func(e Edge) bool {
			to, ok := e.to()
			return ok && !e.Test && in(to, "hub/store/sqlite", "hub/store/postgres", "hub/store/tables") &&
				!in(e.From, to) && !(to == "hub/store/tables" && in(e.From, "hub/store/sqlite", "hub/store/postgres")) && e.From != "hub" && !in(e.From, roots...) && !in(e.From, "internal/sim", "internal/e2e")
		},
	},
	{
		"test rooms stay out of the programs",
		"a program that carries its own tests carries their weaknesses",
		func(e Edge) bool {
			to, ok := e.to()
			return ok && !e.Test && in(to, "internal/arch", "internal/e2e", "internal/sim", "hub/store/storetest") &&
				!in(e.From, "internal/e2e", "internal/sim", "hub/demo", "hub/store/storetest")
		},
	},
	{
		"records and rules touch records and rules alone",
		"the kernel's records and rules have no clock, no goroutine, no I/O and no log of their own, or a simulator could not drive them",
		func(e Edge) bool {
			to, ok := e.to()
			return ok && !e.Test && in(e.From, Pure...) && !in(to, Pure...)
		},
	},
	{
		"records and rules take time and chance as arguments",
		"whatever reads the system's clock, dice, files or network by itself gives another answer the second time",
		func(e Edge) bool {
			return !e.Test && in(e.From, Pure...) && in(e.To, impure...) && !in(e.To, harmless...)
		},
	},
}

// bothSides may import agent and hub: the demo replays a day through real
// devices and a real hub, the others are tests.
var bothSides = []string{"hub/demo", "internal/sim", "internal/e2e"}

// roots wire the rooms of their side together.
var roots = []string{"agent/device", "agent/bench", "hub/server", "hub/demo"}

// Pure lists the kernel's records and rules.
var Pure = under("internal/", "dot", "hlc", "vv", "entry", "lane", "batch", "receipt", "feed", "merge", "form", "rules", "bundle", "identity", "wire")

// impure lists what pure packages may not import, harmless what of it they may.
var (
	impure = []string{
		"os", "net", "log", "syscall", "crypto/rand", "math/rand", "database/sql", "runtime", "testing", "plugin",
		"golang.org/x/sys", "golang.org/x/net", "golang.org/x/sync",
	}
	harmless = []string{"net/url", "net/netip"} // they read text alone
)

// Exception lets rooms import a sibling.
type Exception struct {
	From   string // a package and those below it
	To     string // this package alone
	Test   bool   // in test files only
	Reason string
}

// Exceptions to "rooms do not know their siblings".
var Exceptions = []Exception{
	{"hub", "hub/store", false, "the contract's types are the hub's nouns; a second set of the same nouns would only be copied"},
	{"hub", "hub/store/sqlite", true, "a test against the real database finds more than one against a stand-in"},
	{"hub", "hub/store/postgres", true, "a test against the real database finds more than one against a stand-in"},
	{"hub", "hub/store/postgres/scratch", true, "a server for tests is started in one place"},
	{"hub", "hub/store/storetest", true, "the suite's sample devices and entries serve other rooms' tests"},
	{"agent", "agent/store", true, "a test against the real database finds more than one against a stand-in"},
}

func excepted(e Edge) bool {
	to, _ := e.to()
	return slices.ContainsFunc(Exceptions, func(x Exception) bool {
		return in(e.From, x.From) && to == x.To && (e.Test || !x.Test)
	})
}

// Home is where a library lives.
type Home struct {
	Library string // an import path and those below it
	Rooms   []string
	Tests   bool // any test may import it as well
	Reason  string
}

const (
	oneDatabase = "the contract speaks of what the hub does; SQL is its implementations' affair"
	oneBroker   = "whoever holds a connection decides what reconnecting, permissions and losses mean; that is decided in one place a side"
)

// Homes is the table of libraries that stay in their room.
var Homes = []Home{
	{"github.com/dgraph-io/badger", []string{"agent/store"}, false, "the key layout, the fsync and the checks on reading are one decision, made in one place"},
	{"modernc.org/sqlite", []string{"hub/store/sqlite", "internal/e2e"}, false, oneDatabase},
	{"github.com/signintech/gopdf", []string{"internal/paper"}, false, "a font of megabytes stands behind it: only what prints takes it in"},
	{"github.com/pquerna/otp", []string{"hub/access"}, false, "who gets in is decided in one place"},
	{"github.com/ncruces/go-sqlite3", []string{"hub/store/sqlite", "internal/e2e"}, false, oneDatabase},
	{"github.com/jackc/pgx", []string{"hub/store/postgres", "internal/e2e"}, false, oneDatabase},
	{"github.com/lib/pq", []string{"hub/store/postgres"}, false, oneDatabase},
	{"github.com/pressly/goose", []string{"hub/store/sqlite", "hub/store/postgres"}, false, oneDatabase},
	{"database/sql", []string{"hub/store/sqlite", "hub/store/postgres", "internal/e2e"}, false, oneDatabase},
	{"github.com/nats-io/nats.go", []string{"agent/link", "agent/station", "hub/broker", "internal/sim", "internal/e2e"}, false, oneBroker},
	{"github.com/nats-io/nats-server", []string{"hub/broker", "agent/station"}, true, oneBroker},
	{"filippo.io/age", []string{"internal/bundle"}, false, "what a courier carries is sealed and opened in one place"},
	{"cel.dev/cel-go", []string{"internal/rules"}, false, "what an office's expressions may do, and at what cost, is decided in one place"},
	{"github.com/minio/minio-go", []string{"hub/blob/bucket"}, false, "an object store is one of the places where photos are, and a large library: nothing else speaks to it"},
	{"github.com/disintegration/imaging", []string{"agent/blob"}, false, "pictures are decoded where their size is bounded"},
	{"github.com/xuri/excelize", []string{"internal/form/xlsform", "internal/sheet"}, true, "a workbook from outside is opened where its limits are set"},
	{"github.com/spf13/cobra", []string{"agent", "hub", "internal/cli"}, false, "commands and flags are read in main and in what both mains share; a room takes a Config"},
	{"github.com/prometheus", []string{"internal/telemetry"}, true, "both programs tell of themselves in one way, and nothing else knows who listens"},
	{"github.com/getkin/kin-openapi", []string{"internal/e2e"}, true, "the API's description is made by a test; programs serve what is committed"},
	{"pgregory.net/rapid", []string{"hub/store/storetest", "internal/sim", "internal/e2e"}, true, "a test's tool"},
	{"github.com/cockroachdb/datadriven", []string{"hub/store/storetest", "internal/sim", "internal/e2e"}, true, "a test's tool"},
}

// exact lists homes that are one package, not those below it too.
var exact = []string{"agent", "hub"}

func (h Home) forbids(e Edge) bool {
	if !in(e.To, h.Library) || h.Tests && e.Test {
		return false
	}
	return !slices.ContainsFunc(h.Rooms, func(r string) bool {
		return e.From == r || !slices.Contains(exact, r) && in(e.From, r)
	})
}

// BannedNames say nothing of what a package holds.
var BannedNames = []string{"manager", "service", "engine", "helper", "util", "common", "data", "processor", "handler2", "misc", "sync"}

func banned(name string) bool {
	return slices.ContainsFunc(BannedNames, func(b string) bool { return name == b || name == b+"s" })
}

// in reports whether path is one of folders or below one of them.
func in(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

func under(prefix string, names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

// side is agent, hub or internal; room is the folder below it, "" for a main.
func side(path string) string {
	s, _, _ := strings.Cut(path, "/")
	return s
}

func room(path string) string {
	s, rest, _ := strings.Cut(path, "/")
	if s != "agent" && s != "hub" {
		return ""
	}
	r, _, _ := strings.Cut(rest, "/")
	return r
}
