package arch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"otor/internal/arch"
)

// The tree keeps its rules.
func TestTree(t *testing.T) {
	m, err := arch.Load(t.Context(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, p := range m.Packages {
		files += len(p.Files)
	}
	t.Logf("%d packages, %d files", len(m.Packages), files)
	if len(m.Packages) < 12 || files < 40 {
		t.Fatalf("only %d packages with %d files were read", len(m.Packages), files)
	}
	for _, f := range arch.Check(m) {
		t.Error(f)
	}
}

// Every rule has a reason and a control below.
func TestEveryRuleHasAControl(t *testing.T) {
	want := []string{arch.RuleHome, arch.RuleName, arch.RuleClock, arch.RuleGo, arch.RulePrint}
	for _, r := range arch.Rules {
		if r.Reason == "" {
			t.Errorf("%s: no reason", r.Name)
		}
		want = append(want, r.Name)
	}
	for _, name := range want {
		if !slices.ContainsFunc(controls, func(c control) bool { return c.rule == name }) {
			t.Errorf("%s: no control breaks this rule", name)
		}
	}
	for _, h := range arch.Homes {
		if h.Reason == "" || len(h.Rooms) == 0 {
			t.Errorf("%s: no home or no reason", h.Library)
		}
		if !slices.ContainsFunc(controls, func(c control) bool { return c.rule == arch.RuleHome && strings.HasPrefix(c.imports, h.Library) }) {
			t.Errorf("%s: no control takes it out of its room", h.Library)
		}
	}
	for _, x := range arch.Exceptions {
		if x.Reason == "" {
			t.Errorf("%s to %s: no reason", x.From, x.To)
		}
	}
}

// control is one file and the rule that it breaks; "" breaks none.
type control struct {
	file    string
	imports string // one import path
	body    string
	rule    string
}

// Rules by name, so that a renamed rule is noticed.
const (
	sides    = "sides never meet"
	below    = "the kernel stands below"
	siblings = "rooms do not know their siblings"
	impl     = "no room opens a store's implementation"
	testRoom = "test rooms stay out of the programs"
	alone    = "records and rules touch records and rules alone"
	chance   = "records and rules take time and chance as arguments"
)

var controls = []control{
	{"agent/uplink/sides.go", "otor/hub/ingest", "", sides},
	{"hub/ingest/sides.go", "otor/agent/store", "", sides},
	{"hub/ingest/sides_test.go", "otor/agent/store", "", sides},
	{"agent/main.go", "otor/hub/server", "", sides},
	{"hub/demo/demo.go", "otor/agent/device", "", ""},
	{"hub/demo/own.go", "otor/hub/server", "", ""},
	{"internal/sim/sim.go", "otor/hub/server", "", ""},
	{"internal/e2e/e2e_test.go", "otor/agent/device", "", ""},
	{"internal/telemetry/below.go", "otor/agent/store", "", below},
	{"internal/webui/below.go", "otor/hub/console", "", below},
	{"agent/uplink/siblings.go", "otor/agent/store", "", siblings},
	{"agent/uplink/siblings_windows.go", "otor/agent/blob", "", siblings}, // on whatever platform
	{"agent/uplink/siblings_test.go", "otor/agent/link", "", siblings},
	{"agent/uplink/store_test.go", "otor/agent/store", "", ""},
	{"agent/web/root.go", "otor/agent/device", "", siblings},
	{"agent/device/device.go", "otor/agent/store", "", ""},
	{"agent/device/link.go", "otor/agent/link", "", ""},
	{"agent/enrolled.go", "otor/agent/enrol", "", ""},
	{"hub/ingest/siblings.go", "otor/hub/feed", "", siblings},
	{"hub/ingest/contract.go", "otor/hub/store", "", ""},
	{"hub/ingest/real_test.go", "otor/hub/store/sqlite", "", ""},
	{"hub/store/sqlite/sqlite.go", "otor/hub/store", "", ""},
	{"hub/store/sqlite/sqlite.go", "otor/hub/store/tables", "", ""},
	{"hub/store/storetest/statements.go", "otor/hub/store/tables", "", impl},
	{"hub/store/sqlite/sqlite_test.go", "otor/hub/store/storetest", "", ""},
	{"hub/server/server.go", "otor/hub/store/sqlite", "", ""},
	{"hub/server/rooms.go", "otor/hub/ingest", "", ""},
	{"hub/store/storetest/opens.go", "otor/hub/store/sqlite", "", impl},
	{"hub/server/suite.go", "otor/hub/store/storetest", "", testRoom},
	{"agent/device/sim.go", "otor/internal/sim", "", testRoom},
	{"agent/device/sim_test.go", "otor/internal/sim", "", ""},
	{"internal/vv/alone.go", "otor/internal/durable", "", alone},
	{"internal/vv/dot.go", "otor/internal/dot", "", ""},
	{"internal/merge/os.go", "os", "", chance},
	{"internal/merge/http.go", "net/http", "", chance},
	{"internal/merge/slog.go", "log/slog", "", chance},
	{"internal/merge/log.go", "log", "", chance},
	{"internal/merge/rand.go", "math/rand/v2", "", chance},
	{"internal/merge/crand.go", "crypto/rand", "", chance},
	{"internal/merge/url.go", "net/url", "", ""},
	{"internal/merge/merge_test.go", "os", "", ""},
	{"internal/durable/durable.go", "os", "", ""},
	{"internal/hlc/now.go", "time", "var now = time.Now", arch.RuleClock},
	{"internal/hlc/ticker.go", "time", "func wait() { <-time.After(1) }", arch.RuleClock},
	{"internal/hlc/alias.go", `clock "time`, "var later = clock.Since", arch.RuleClock},
	{"internal/hlc/nameless.go", `. "time`, "var nameless = Now", arch.RuleClock},
	{"internal/hlc/unix.go", "time", "var unix = time.UnixMilli(0)", ""},
	{"internal/hlc/now_test.go", "time", "var testNow = time.Now", ""},
	{"internal/durable/now.go", "time", "var now = time.Now", ""},
	{"internal/lane/go.go", "strings", "func start() { go strings.ToUpper(\"\") }", arch.RuleGo},
	{"internal/lane/print.go", "fmt", "func say() { fmt.Println() }", arch.RulePrint},
	{"internal/lane/sprint.go", "fmt", "func word() string { return fmt.Sprint() }", ""},
	{"agent/util/util.go", "strings", "", arch.RuleName},
	{"hub/sync/sync.go", "strings", "", arch.RuleName},
	{"agent/helpers/helpers.go", "strings", "", arch.RuleName},
	{"agent/capture/badger.go", "github.com/dgraph-io/badger/v4", "", arch.RuleHome},
	{"agent/capture/badger_test.go", "github.com/dgraph-io/badger/v4", "", arch.RuleHome},
	{"agent/store/badger.go", "github.com/dgraph-io/badger/v4", "", ""},
	{"hub/store/sql.go", "database/sql", "", arch.RuleHome},
	{"hub/store/modernc.go", "modernc.org/sqlite", "", arch.RuleHome},
	{"hub/server/ncruces.go", "github.com/ncruces/go-sqlite3/driver", "", arch.RuleHome},
	{"hub/store/sqlite/pgx.go", "github.com/jackc/pgx/v5", "", arch.RuleHome},
	{"hub/store/sqlite/pq.go", "github.com/lib/pq", "", arch.RuleHome},
	{"hub/server/goose.go", "github.com/pressly/goose/v3", "", arch.RuleHome},
	{"hub/store/sqlite/driver.go", "modernc.org/sqlite", "", ""},
	{"agent/uplink/nats.go", "github.com/nats-io/nats.go", "", arch.RuleHome},
	{"agent/uplink/jetstream.go", "github.com/nats-io/nats.go/jetstream", "", arch.RuleHome},
	{"agent/link/nats.go", "github.com/nats-io/nats.go", "", ""},
	{"agent/link/server.go", "github.com/nats-io/nats-server/v2/server", "", arch.RuleHome},
	{"agent/link/server_test.go", "github.com/nats-io/nats-server/v2/server", "", ""},
	{"hub/broker/server.go", "github.com/nats-io/nats-server/v2/server", "", ""},
	{"agent/courier/age.go", "filippo.io/age", "", arch.RuleHome},
	{"hub/ingest/cel.go", "cel.dev/cel-go/cel", "", arch.RuleHome},
	{"agent/web/cobra.go", "github.com/spf13/cobra", "", arch.RuleHome},
	{"hub/console/pdf.go", "github.com/signintech/gopdf", "", arch.RuleHome},
	{"hub/server/bucket.go", "github.com/minio/minio-go/v7", "", arch.RuleHome},
	{"agent/web/picture.go", "github.com/disintegration/imaging", "", arch.RuleHome},
	{"internal/pack/workbook.go", "github.com/xuri/excelize/v2", "", arch.RuleHome},
	{"internal/form/xlsform/xlsx.go", "github.com/xuri/excelize/v2", "", ""},
	{"hub/console/otp.go", "github.com/pquerna/otp/totp", "", arch.RuleHome},
	{"hub/cobra.go", "github.com/spf13/cobra", "", ""},
	{"hub/watch/metrics.go", "github.com/prometheus/client_golang/prometheus", "", arch.RuleHome},
	{"hub/server/openapi.go", "github.com/getkin/kin-openapi/openapi3", "", arch.RuleHome},
	{"internal/telemetry/meter.go", "github.com/prometheus/client_golang/prometheus", "", ""},
	{"internal/durable/rapid.go", "pgregory.net/rapid", "", arch.RuleHome},
	{"internal/durable/rapid_test.go", "pgregory.net/rapid", "", ""},
	{"internal/durable/datadriven.go", "github.com/cockroachdb/datadriven", "", arch.RuleHome},
}

// Each control alone breaks its rule and no other.
func TestControls(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module otor\n\ngo 1.26\n")
	for _, c := range controls {
		name := filepath.Base(filepath.Dir(c.file))
		if dir := filepath.Dir(c.file); dir == "agent" || dir == "hub" {
			name = "main"
		}
		quoted := `"` + c.imports + `"`
		if before, after, ok := strings.Cut(c.imports, `"`); ok {
			quoted = before + `"` + after + `"`
		}
		write(c.file, fmt.Sprintf("package %s\n\nimport %s\n\n%s\n", name, quoted, c.body))
	}
	m, err := arch.Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, f := range arch.Check(m) {
		file, _, _ := strings.Cut(f.Where, ":")
		got[file] = append(got[file], f.Rule)
	}
	for _, c := range controls {
		where := c.file
		if c.rule == arch.RuleName { // found by the folder
			where = filepath.ToSlash(filepath.Dir(c.file))
		}
		var want []string
		if c.rule != "" {
			want = []string{c.rule}
		}
		if found := slices.Compact(got[where]); !slices.Equal(found, want) {
			t.Errorf("%s importing %s: found %q, want %q", c.file, c.imports, found, want)
		}
	}
}
