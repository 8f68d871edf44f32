package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"otor/internal/dot"
	"otor/internal/feed"
)

// Pull asks on [PullOn] for a piece of a scope's feed, or for rows by name.
type Pull struct {
	Scope string `cbor:"1,keyasint"`
	// Cursors are signed ones that the device passed, newest first: the newest
	// alone, unless the hub asked for all. None: from the beginning.
	Cursors [][]byte `cbor:"2,keyasint,omitempty"`
	All     bool     `cbor:"3,keyasint,omitempty"` // the device has no others
	Bytes   uint32   `cbor:"4,keyasint,omitempty"` // of the body that the page may have; 0: as many as the hub gives
	// Names asks for these rows instead of what lies above the cursor.
	Names       []RowName       `cbor:"5,keyasint,omitempty"`
	Incarnation dot.Incarnation `cbor:"6,keyasint"` // the device's life
}

// RowName is a row's name as it travels.
type RowName struct {
	_    struct{} `cbor:",toarray"`
	Slot feed.Kind
	Key  string
}

// Turn says what becomes of the cursor that a pull came with.
type Turn uint8

// The turns. With any but Onward a page has no rows.
const (
	Onward Turn = iota // the page follows it
	Ask                // the hub does not know it: ask again with all that the device has
	Resume             // Next is the newest that the hub knows: go on from there
	Rebase             // the hub knows none, or has forgotten too much: begin anew
)

// FeedPage is the answer to a pull.
type FeedPage struct {
	Scope string `cbor:"1,keyasint"`
	Turn  Turn   `cbor:"2,keyasint,omitempty"`
	Next  []byte `cbor:"3,keyasint,omitempty"` // signed cursor
	Body  []byte `cbor:"4,keyasint,omitempty"` // [feed.Pack] after the pull's cursor, or after 0 for rows by name
	More  bool   `cbor:"5,keyasint,omitempty"`
	// Answered is how many of a pull's names the body answers, from the first on.
	Answered uint32   `cbor:"6,keyasint,omitempty"`
	Refused  *Refusal `cbor:"7,keyasint,omitempty"`
	// After is the number of the cursor that the page follows.
	After uint64 `cbor:"8,keyasint,omitempty"`
}

// ScopeAt says how far somebody is with a scope.
type ScopeAt struct {
	_     struct{} `cbor:",toarray"`
	Scope string
	N     uint64
	Mark  feed.Mark
}

// FeedNews is what the hub publishes on a scope's [News] after it moved.
type FeedNews struct {
	N    uint64    `cbor:"1,keyasint"`
	Mark feed.Mark `cbor:"2,keyasint"`
}

// Bounds of a pull and a page.
const (
	MaxPage  = 224 << 10 // bytes of the message, below what NATS takes
	MaxNames = 128
	// MaxScopes bounds the scopes of a hello and a welcome: those granted, the
	// device's own and everybody's.
	MaxScopes = 66
)

func (FeedPage) limit() int { return MaxPage }

func (p Pull) check() error {
	switch {
	case p.Scope == "" || p.Incarnation == 0:
		return errors.New("pull: it names no scope or no life")
	case len(p.Cursors) > feed.MaxCursors:
		return fmt.Errorf("pull: %d cursors, the limit is %d", len(p.Cursors), feed.MaxCursors)
	case len(p.Names) > MaxNames:
		return fmt.Errorf("pull: %d names, the limit is %d", len(p.Names), MaxNames)
	}
	return nil
}

func (p FeedPage) check() error {
	switch {
	case p.Refused != nil:
		return nil
	case p.Turn > Rebase:
		return fmt.Errorf("page: turn %d", p.Turn)
	case (p.Turn == Onward || p.Turn == Resume) && len(p.Next) == 0:
		return errors.New("page: no cursor")
	case p.Answered > MaxNames:
		return fmt.Errorf("page: %d names answered", p.Answered)
	}
	return nil
}

func (n FeedNews) check() error {
	if n.N > feed.MaxN {
		return fmt.Errorf("news: numbers end at %d", uint64(feed.MaxN))
	}
	return nil
}

// ScopeOfNews takes the scope from a subject of [News].
func ScopeOfNews(subject string) (string, bool) { return strings.CutPrefix(subject, Prefix+"news.") }

// granted reads what a NATS user JWT permits. It checks nothing: the server does.
func granted(token string) (publish, subscribe []string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, nil
	}
	type subjects struct {
		Allow []string `json:"allow"`
	}
	var claims struct {
		Nats struct {
			Pub subjects `json:"pub"`
			Sub subjects `json:"sub"`
		} `json:"nats"`
	}
	if json.Unmarshal(b, &claims) != nil {
		return nil, nil
	}
	return claims.Nats.Pub.Allow, claims.Nats.Sub.Allow
}

// NewsOf lists the scopes whose news the holder of a NATS user JWT may hear.
func NewsOf(token string) []string {
	var out []string
	_, may := granted(token)
	for _, subject := range may {
		if scope, ok := ScopeOfNews(subject); ok {
			out = append(out, scope)
		}
	}
	return out
}

// MayPublish reports whether the holder of a NATS user JWT may publish on a
// subject: asking for more than that would cost the connection.
func MayPublish(token, subject string) bool {
	may, _ := granted(token)
	return slices.Contains(may, subject)
}
