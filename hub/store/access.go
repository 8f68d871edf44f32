package store

import "context"

// Operator is a person, or a program of theirs, who works at the hub.
type Operator struct {
	Name     string // as typed at sign-in, unique
	Title    string // as shown to others
	Role     string // see package access
	Scopes   []string
	Password string // PHC string of argon2id; empty: cannot sign in by password yet
	TOTP     []byte // the sealed secret of the second factor; nil: none
	TOTPStep int64  // the last time step whose code was taken, so that none is taken twice
	// FactorAt is when it was set, in Unix milliseconds; 0: there is none, or that is not known.
	FactorAt int64
	AddedAt  int64
	// DisabledAt is when the operator was shut out; 0: works here.
	DisabledAt int64
	// Generation rises when password, second factor, role, scopes or access
	// change: sessions that began under an earlier one are over.
	Generation int64
}

// Session is one browser of an operator. The secret itself is not kept.
type Session struct {
	Hash       [32]byte // of the secret in the cookie
	Operator   string
	Generation int64 // the operator's when it began
	BeganAt    int64
	SeenAt     int64
	EndsAt     int64 // whatever happens
	From       string
}

// Link lets an operator in once, to set a password.
type Link struct {
	Hash      [32]byte
	Operator  string
	AddedAt   int64
	ExpiresAt int64
}

// APIToken lets a program in, with a role and scopes of its own that are never
// more than its operator's.
type APIToken struct {
	Hash      [32]byte
	Operator  string
	Label     string // unique an operator
	Role      string
	Scopes    []string
	AddedAt   int64
	ExpiresAt int64
	RevokedAt int64 // 0: valid
}

// Operators is the part of the contract about those who work at the hub.
// Unknown names and hashes are [ErrNotFound].
type Operators interface {
	// AddOperator adds one; ErrExists for a name that is taken, also by one who was shut out.
	AddOperator(ctx context.Context, o Operator) error
	// ChangeOperator gives change the operator as it is and stores what it made of
	// it, in one transaction; its error leaves everything as it was. Name and
	// AddedAt do not change. When Generation rose, all sessions and links of the
	// operator end. When DisabledAt changed, so do their tokens, as of when they were
	// shut out: who is let in again makes new ones.
	ChangeOperator(ctx context.Context, name string, change func(*Operator) error) error
	Operator(ctx context.Context, name string) (Operator, error)
	// ListOperators lists all by name, also those who were shut out.
	ListOperators(ctx context.Context) ([]Operator, error)

	// AddSession stores a session and forgets those that ended before BeganAt.
	AddSession(ctx context.Context, s Session) error
	Session(ctx context.Context, hash [32]byte) (Session, error)
	// SeeSession notes when a session was last used. An unknown one is no error.
	SeeSession(ctx context.Context, hash [32]byte, at int64) error
	// EndSession forgets a session. An unknown one is no error.
	EndSession(ctx context.Context, hash [32]byte) error

	// AddLink replaces the operator's open links.
	AddLink(ctx context.Context, l Link) error
	// SpendLink gives a link's operator and forgets the link: it works once.
	// ErrCodeExpired from ExpiresAt on; it is forgotten then as well.
	SpendLink(ctx context.Context, hash [32]byte, at int64) (operator string, err error)

	// AddToken adds a token; ErrExists for a label that the operator has in use.
	AddToken(ctx context.Context, t APIToken) error
	Token(ctx context.Context, hash [32]byte) (APIToken, error)
	// Tokens lists all, revoked ones too, by operator and label.
	Tokens(ctx context.Context) ([]APIToken, error)
	// RevokeToken ends a token; revoking again keeps the first time.
	RevokeToken(ctx context.Context, operator, label string, at int64) error
}
