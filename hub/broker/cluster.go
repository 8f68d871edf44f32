package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"

	"otor/internal/trust"
)

// ErrAway says that none of the NATS servers elsewhere answers.
var ErrAway = errors.New("the NATS servers do not answer")

// ErrAddress marks a name or an address that is none.
var ErrAddress = errors.New("not an address")

// Patience with servers elsewhere. A cluster that starts has no leader for a
// moment; messages that a worker held when it was killed come back after the
// acknowledgement time.
const (
	clusterAckWait = 15 * time.Second
	clusterReady   = time.Minute
	claimsWait     = 5 * time.Second
	clusterFetch   = 30 * time.Second
	clusterBeat    = 5 * time.Second
	mostReplicas   = 3
)

// cluster is NATS servers elsewhere, of which the hub is the operator: they
// honour what its keys sign, and learn account claims from it.
type cluster struct {
	urls   []string // tls://host:port
	system *nats.Conn
}

// ServerURLs reads addresses of NATS servers; errors wrap [ErrAddress].
func ServerURLs(addresses []string) ([]string, error) {
	var out []string
	for _, a := range addresses {
		rest := strings.TrimPrefix(strings.TrimPrefix(a, "nats://"), "tls://")
		host, port, err := net.SplitHostPort(rest)
		if err != nil {
			host, port = rest, "4222"
		}
		u, err := url.Parse("tls://" + net.JoinHostPort(host, port))
		if err != nil || u.Hostname() == "" || u.Port() == "" || u.User != nil || strings.ContainsAny(host, "/?# ") {
			return nil, fmt.Errorf("%w: NATS server %q: want nats://host:port, several with commas between them", ErrAddress, a)
		}
		out = append(out, u.String())
	}
	return out, nil
}

// replicas is how many servers keep a stream.
func (c *cluster) replicas() int {
	if len(c.urls) < mostReplicas {
		return 1
	}
	return mostReplicas
}

// join connects to the servers as their operator, and tells them what the
// accounts are now: revocations among it, BEFORE the hub says that it is there.
func (b *Broker) join(ctx context.Context, accounts map[string]string) (err error) {
	c := b.elsewhere
	if c.system, err = b.connect(b.keys.system, "hub-system"); err != nil {
		return err
	}
	for key, token := range accounts {
		if err := c.tell(ctx, key, token); err != nil {
			return err
		}
	}
	b.issuer.target = c
	return nil
}

// update makes changed account claims hold in the whole cluster.
func (c *cluster) update(claims *jwt.AccountClaims, token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), claimsWait)
	defer cancel()
	return c.tell(ctx, claims.Subject, token)
}

// tell sends claims and waits until the server that was asked has them; it passes
// them on to the others.
func (c *cluster) tell(ctx context.Context, key, token string) error {
	ctx, cancel := context.WithTimeout(ctx, claimsWait)
	defer cancel()
	m, err := c.system.RequestWithContext(ctx, "$SYS.REQ.CLAIMS.UPDATE", []byte(token))
	if err != nil {
		return fmt.Errorf("tell the NATS servers of account %s: %w", key, err)
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fmt.Errorf("tell the NATS servers of account %s: %w", key, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("tell the NATS servers of account %s: %s; they must be configured by hub nats-config", key, answer.Error.Description)
	}
	return nil
}

// dial connects to the servers elsewhere, whoever of them answers.
func (c *cluster) dial(b *Broker, name string, opts []nats.Option) (*nats.Conn, error) {
	opts = append(opts, nats.Secure(trust.ByRoot(b.keys.ca.cert)), nats.Timeout(handshakeSeconds*time.Second),
		nats.PingInterval(10*time.Second), nats.MaxPingsOutstanding(2), nats.CustomInboxPrefix("_INBOX.hub"))
	nc, err := nats.Connect(strings.Join(c.urls, ","), opts...)
	if err != nil {
		return nil, fmt.Errorf("%w: connect %s to %s: %w", ErrAway, name, strings.Join(c.urls, ", "), err)
	}
	return nc, nil
}

// patiently does what a cluster may refuse while it has no leader.
func (b *Broker) patiently(ctx context.Context, what func(ctx context.Context) error) error {
	deadline := time.Now().Add(clusterReady)
	for told := false; ; told = true {
		err := what(ctx)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		if !told {
			b.cfg.Log.Warn("the NATS servers are not ready; tried again for a while", "error", err, "most", clusterReady)
		}
		select {
		case <-time.After(retryFetch):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connections counts the connections of an account on all servers that answer soon.
func (c *cluster) connections(account string) (n int) {
	inbox := c.system.NewInbox()
	sub, err := c.system.SubscribeSync(inbox)
	if err != nil {
		return 0
	}
	defer sub.Unsubscribe() //nolint:errcheck // it ends with the connection at the latest
	ask := fmt.Appendf(nil, `{"accounts":[%q]}`, account)
	if err := c.system.PublishRequest("$SYS.REQ.ACCOUNT.PING.STATZ", inbox, ask); err != nil {
		return 0
	}
	for range c.urls {
		m, err := sub.NextMsg(300 * time.Millisecond)
		if err != nil {
			break
		}
		var answer struct {
			Data struct {
				Accounts []struct {
					Conns int `json:"conns"`
				} `json:"account_statz"`
			} `json:"data"`
		}
		if json.Unmarshal(m.Data, &answer) == nil {
			for _, a := range answer.Data.Accounts {
				n += a.Conns
			}
		}
	}
	return n
}
