package broker

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"

	"otor/internal/durable"
)

// Node is a NATS server elsewhere that the hub works with.
type Node struct {
	Name    string   // of the server, unique in its cluster
	Listen  string   // host:port for devices and hubs
	Cluster string   // host:port for the other servers; empty: it stands alone
	Routes  []string // host:port of those
	Hosts   []string // names and addresses by which it is reached, besides those in Listen and Cluster
	// Store bounds the streams on its disk, in bytes; 1 GiB when 0.
	Store int64
}

// WriteNode writes what a NATS server needs to honour this hub's credentials into
// the folder out: its configuration, a certificate of the hub's own authority, the
// accounts. The hub's keys stay where they are.
func WriteNode(dir, out string, n Node, now time.Time) error {
	if !ValidScope(n.Name) {
		return fmt.Errorf("%w: server name %q: use letters, digits, '-' and '_'", ErrAddress, n.Name)
	}
	hosts := slices.Clone(n.Hosts)
	for _, addr := range append([]string{n.Listen, n.Cluster}, n.Routes...) {
		host, port, err := net.SplitHostPort(addr)
		if addr == "" && n.Cluster == "" {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: %q: want host:port", ErrAddress, addr)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%w: %q: the port must be a number", ErrAddress, addr)
		}
		if slices.Contains(n.Routes, addr) {
			continue
		}
		if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
			hosts = append(hosts, host)
		}
	}
	keys, err := openKeys(filepath.Join(dir, "keys"), now)
	if err != nil {
		return err
	}
	revoked, err := keys.readRevocations()
	if err != nil {
		return err
	}
	i := &issuer{keys: keys, maxStore: jwt.NoLimit, revoked: revoked}
	operator, err := i.operatorToken()
	if err != nil {
		return err
	}
	accounts, err := i.accounts()
	if err != nil {
		return err
	}
	cert, err := keys.issue(named(hosts), now, true)
	if err != nil {
		return fmt.Errorf("certificate of the NATS server: %w", err)
	}
	if err := durable.MkdirAll(out, 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(out, "nats.conf")); err == nil {
		return fmt.Errorf("%s holds a nats.conf already: name another folder", out)
	}
	return errors.Join(
		durable.WriteFile(filepath.Join(out, serverFile), cert, 0o600),
		durable.WriteFile(filepath.Join(out, caFile), keys.ca.pem, 0o644),
		durable.WriteFile(filepath.Join(out, "nats.conf"), []byte(n.config(operator, public(keys.system), accounts)), 0o600),
	)
}

// config is the server's configuration. Its paths are below the folder in which
// it stands, from which the server is started.
func (n Node) config(operator, system string, accounts map[string]string) string {
	store := n.Store
	if store == 0 {
		store = defaultStore
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# A NATS server for an Otor hub, written by hub nats-config. Start it in this folder:
#   nats-server -c nats.conf
server_name: %q
listen: %q
# The defaults of two seconds never succeed at 600 ms and 64 kbit/s.
tls: { cert_file: %q, key_file: %q, min_version: "1.3", timeout: %d }
authorization: { timeout: %d }
write_deadline: "%s"
ping_interval: "%s"
max_payload: %d
max_control_line: %d

operator: %s
system_account: %s
resolver: { type: full, dir: "accounts", allow_delete: false, interval: "2m" }
resolver_preload: {
`, n.Name, n.Listen, serverFile, serverFile, handshakeSeconds, handshakeSeconds, writeDeadline, serverPing, MaxPayload, maxControlLine, operator, system)
	for _, key := range slices.Sorted(maps.Keys(accounts)) {
		fmt.Fprintf(&b, "  %s: %s\n", key, accounts[key])
	}
	fmt.Fprintf(&b, `}

# Every message is on the disk before it is acknowledged.
jetstream: { store_dir: "stream", max_file_store: %d, max_memory_store: 16777216, sync_interval: always }
`, store)
	if n.Cluster == "" {
		return b.String()
	}
	fmt.Fprintf(&b, `
cluster: {
  name: otor
  listen: %q
  tls: { cert_file: %q, key_file: %q, ca_file: %q, verify: true, timeout: %d }
  routes: [
`, n.Cluster, serverFile, serverFile, caFile, handshakeSeconds)
	for _, r := range n.Routes {
		fmt.Fprintf(&b, "    %q\n", "nats-route://"+r)
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}
