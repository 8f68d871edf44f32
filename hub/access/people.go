package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"otor/hub/store"
)

// Person is an operator as others see them.
type Person struct {
	Name     string
	Title    string
	Role     Role
	Scopes   []string
	AddedAt  int64 // Unix milliseconds
	Disabled int64 // 0: works here
	// Invited: a link was made and no password was set yet.
	Invited bool
	Factor  bool // has a second factor
}

var nameShape = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,31}$`)

// hubNames are what the ledger calls the hub itself, and who reads its folder.
var hubNames = []string{"hub", "office", "machine"}

func clean(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

func host(from string) string {
	if h, _, err := net.SplitHostPort(from); err == nil {
		return h
	}
	return from
}

// Add makes an operator and a link for them. Only an administrator may, and
// gives no more than their own role and scopes. Refusals: not_allowed,
// bad_request, name_taken.
func (d *Desk) Add(ctx context.Context, by Who, p Person) (link string, err error) {
	p.Name = clean(p.Name)
	if err := mayGive(by, p); err != nil {
		return "", err
	}
	if slices.Contains(hubNames, p.Name) {
		r := refuse("bad_request", "choose another name", "the ledger calls the hub itself by this name")
		r.Which = p.Name
		return "", r
	}
	if err := d.note(ctx, Note{Who: by.Name, Kind: "operator_added", Subject: p.Name, Words: describe(p)}); err != nil {
		return "", err
	}
	err = d.Store.AddOperator(ctx, store.Operator{
		Name: p.Name, Title: p.Title, Role: string(p.Role), Scopes: p.Scopes, AddedAt: d.Now().UnixMilli(), Generation: 1,
	})
	if errors.Is(err, store.ErrExists) {
		r := refuse("name_taken", "choose another name; names of people who left are not given again", "this name is taken")
		r.Which = p.Name
		return "", r
	}
	if err != nil {
		return "", err
	}
	return d.newLink(ctx, p.Name)
}

// mayGive checks a person against the rules and against who gives.
func mayGive(by Who, p Person) error {
	switch {
	case !by.Role.May(Operators):
		return refuse("not_allowed", "ask an administrator", "your role is %s", by.Role)
	case !nameShape.MatchString(p.Name):
		r := refuse("bad_request", "use 2 to 32 letters a-z, digits, dot, hyphen or underscore", "this is not a name to sign in with")
		r.Which = p.Name
		return r
	case len(p.Title) > 128 || len(p.Scopes) > 64:
		return refuse("bad_request", "shorten it", "the title or the list of scopes is too long")
	case !p.Role.Valid():
		r := refuse("bad_request", "choose viewer, reconciler, dispatcher or administrator", "there is no such role")
		r.Which = string(p.Role)
		return r
	case len(p.Scopes) == 0:
		return refuse("bad_request", `grant at least one scope, such as "gacha:NB", "gacha:*" or "*"`, "an operator without scopes sees nothing")
	case p.Role == Administrator && !slices.Contains(p.Scopes, Everywhere):
		return refuse("bad_request", `grant "*"`, "an administrator's acts reach everywhere")
	case !p.Role.Within(by.Role) || !within(p.Scopes, by.Scopes):
		return refuse("not_allowed", "ask an administrator with wider scopes", "nobody can give more than they have")
	}
	return nil
}

func describe(p Person) string { return fmt.Sprintf("%s in %s", p.Role, strings.Join(p.Scopes, " ")) }

// Change gives an operator another title, role or scopes, and ends their sessions.
func (d *Desk) Change(ctx context.Context, by Who, p Person) error {
	p.Name = clean(p.Name)
	if err := mayGive(by, p); err != nil {
		return err
	}
	return d.change(ctx, by, "operator_changed", p.Name, describe(p), p.Role != Administrator, func(o *store.Operator) error {
		o.Title, o.Role, o.Scopes = p.Title, string(p.Role), p.Scopes
		o.Generation++
		return nil
	})
}

// ShutOut ends an operator's access, and their tokens; LetIn gives it back, with a new
// link.
func (d *Desk) ShutOut(ctx context.Context, by Who, name string) error {
	return d.change(ctx, by, "operator_shut_out", clean(name), "", true, func(o *store.Operator) error {
		if o.DisabledAt == 0 {
			o.DisabledAt = max(d.Now().UnixMilli(), 1)
		}
		o.Generation++
		return nil
	})
}

// LetIn undoes ShutOut. The old password, second factor and tokens are gone.
func (d *Desk) LetIn(ctx context.Context, by Who, name string) (link string, err error) {
	name = clean(name)
	err = d.change(ctx, by, "operator_let_in", name, "", false, func(o *store.Operator) error {
		o.DisabledAt, o.Password, o.TOTP, o.FactorAt = 0, "", nil, 0
		o.Generation++
		return nil
	})
	if err != nil {
		return "", err
	}
	return d.newLink(ctx, name)
}

// change changes an operator for an administrator. lessens says that the
// operator may be no administrator afterwards: the last one stays.
func (d *Desk) change(ctx context.Context, by Who, kind, name, words string, lessens bool, fn func(*store.Operator) error) error {
	if !by.Role.May(Operators) {
		return refuse("not_allowed", "ask an administrator", "your role is %s", by.Role)
	}
	d.people.Lock()
	defer d.people.Unlock()
	if lessens {
		if err := d.notTheLast(ctx, name); err != nil {
			return err
		}
	}
	if err := d.note(ctx, Note{Who: by.Name, Kind: kind, Subject: name, Words: words}); err != nil {
		return err
	}
	err := d.Store.ChangeOperator(ctx, name, fn)
	if notFound(err) {
		r := refuse("bad_request", "see the list of operators", "there is no such operator")
		r.Which = name
		return r
	}
	return err
}

// notTheLast refuses to take the last administrator away.
func (d *Desk) notTheLast(ctx context.Context, name string) error {
	all, err := d.Store.ListOperators(ctx)
	if err != nil {
		return err
	}
	this, others := false, false
	for _, o := range all {
		if o.Role != string(Administrator) || o.DisabledAt != 0 || o.Password == "" {
			continue
		}
		this, others = this || o.Name == name, others || o.Name != name
	}
	if this && !others {
		r := refuse("last_administrator", "make another administrator first", "this is the last administrator")
		r.Which = name
		return r
	}
	return nil
}

// People lists the operators by name.
func (d *Desk) People(ctx context.Context) ([]Person, error) {
	all, err := d.Store.ListOperators(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Person, 0, len(all))
	for _, o := range all {
		out = append(out, Person{
			Name: o.Name, Title: o.Title, Role: Role(o.Role), Scopes: o.Scopes, AddedAt: o.AddedAt, Disabled: o.DisabledAt,
			Invited: o.Password == "" && o.DisabledAt == 0, Factor: o.TOTP != nil,
		})
	}
	return out, nil
}
