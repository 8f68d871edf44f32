package enrol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"otor/internal/durable"
	"otor/internal/trust"
	"otor/internal/wire"
)

// Move says where an enrolled device's hub is by now.
type Move struct {
	Dir         string
	Hub         string        // host, host:port or URL
	Dialer      Dialer        // a plain one when nil
	HTTPTimeout time.Duration // 30 s when 0
}

// Moved is where the device goes from now on.
type Moved struct {
	Hub      string   `json:"hub"`
	NatsURLs []string `json:"nats"`
}

// Do asks at the new address, which must be answered by the authority that
// enrolled the device, and by the same hub: that decides, not who says so. What
// it names is stored. No other agent may use the folder meanwhile. Errors are
// [*Error], or those of [Load].
func (m Move) Do(ctx context.Context) (Moved, error) {
	id, err := Load(m.Dir)
	if err != nil {
		return Moved{}, err
	}
	base, err := hubURL(m.Hub)
	if err != nil {
		return Moved{}, fail(ErrUsage, "bad_address", "the hub's address is not understood: "+err.Error(), clip(m.Hub), "give it as host or host:port, as the hub's operator names it", err)
	}
	where, err := m.ask(ctx, id, base)
	if err != nil {
		return Moved{}, err
	}
	if where.HubKey != id.HubKey {
		return Moved{}, fail(ErrCredential, "not_the_hub", "another hub of the same authority answers at this address", base, "ask the hub's operator for the right address", nil)
	}
	if err := checkNATS(where.NatsURLs); err != nil {
		return Moved{}, fail(ErrHub, "bad_answer", "the hub's answer is not usable: "+err.Error(), base, "update hub and agent to the same version", err)
	}
	path := filepath.Join(m.Dir, FileName)
	text, err := changed(path, map[string]any{"hub": base, "nats": where.NatsURLs})
	if err == nil {
		err = errors.Join(sweep(m.Dir), durable.WriteFile(path, text, 0o600))
	}
	if err != nil {
		return Moved{}, fail(ErrStorage, "not_written", "the hub's new address could not be stored: "+err.Error(), m.Dir, "make room, then run the same command again", err)
	}
	return Moved{base, where.NatsURLs}, nil
}

func (m Move) ask(ctx context.Context, id *Identity, base string) (where wire.Where, err error) {
	root, err := trust.Root([]byte(id.CA))
	if err != nil {
		return where, fmt.Errorf("%s: %w: %w", m.Dir, ErrDamaged, err)
	}
	if m.HTTPTimeout <= 0 {
		m.HTTPTimeout = 30 * time.Second
	}
	if m.Dialer == nil {
		m.Dialer = &net.Dialer{}
	}
	client := &http.Client{
		Timeout: m.HTTPTimeout,
		Transport: &http.Transport{
			DialContext: m.Dialer.DialContext, TLSClientConfig: trust.ByRoot(root), TLSHandshakeTimeout: m.HTTPTimeout, DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+wire.WherePath, nil)
	if err != nil {
		return where, fail(ErrUsage, "bad_address", err.Error(), base, "check the hub's address", err)
	}
	res, err := client.Do(req)
	switch {
	case errors.Is(err, trust.ErrNotTheHub):
		return where, fail(ErrCredential, "not_the_hub", "what answers at this address is not the hub that enrolled this device", base, "ask the hub's operator for the right address; the old one stays in use", err)
	case err != nil:
		return where, fail(ErrUnreachable, "unreachable", "the hub does not answer: "+err.Error(), base, "check the address and that this device has a network that reaches the hub; the old one stays in use", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return where, fail(ErrHub, "bad_answer", fmt.Sprintf("the hub answers with HTTP %d", res.StatusCode), base, "update the hub to the agent's version", nil)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxReply)).Decode(&where); err != nil {
		return where, fail(ErrHub, "bad_answer", "the hub's answer is not understood", base, "update hub and agent to the same version", err)
	}
	return where, nil
}
