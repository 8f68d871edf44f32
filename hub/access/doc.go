// Package access says who works at the hub, how they get in, and what they may do.
//
// An operator has a name, a role and scopes. The role says which acts are
// theirs, the scopes on which part of the data; both are asked for each
// request, nothing is remembered in a page. A password is hashed with argon2id,
// a second factor (RFC 6238) is asked for once it is set. Whoever signs in gets
// a secret for one browser, of which the hub keeps the hash; it ends after half
// an hour without use, after twelve hours anyway, and at once when password,
// role, scopes or access change. Guessing is slowed down by address and by name,
// and an unknown name takes as long to refuse as a wrong password.
//
// The first administrator comes in by a one-time link that the hub shows to
// whoever starts it; later ones get theirs from an administrator. There are no
// default passwords, and nobody ever tells another one theirs.
//
//   - [Desk] does all of it; [Who] is the operator behind a request.
//   - [Role], [Act], [Covers] are the rule, as tables.
//   - [Refusal] is an answer other than yes, in words for a person.
package access

import "fmt"

// Who is the operator behind a request.
type Who struct {
	Name   string
	Title  string
	Role   Role
	Scopes []string
	// By is how they came: "session", "token" with its label, or "machine" for
	// whoever reads the hub's own folder.
	By string
}

// Machine is who reads the hub's own folder: the machine's administrator.
func Machine() Who {
	return Who{Name: "machine", Title: "machine", Role: Administrator, Scopes: []string{Everywhere}, By: "machine"}
}

// May reports whether the operator may do a on data of that scope.
func (w Who) May(a Act, scope string) bool { return w.Role.May(a) && Covers(w.Scopes, scope) }

// Refusal is an answer other than yes.
type Refusal struct {
	Code  string // bad_sign_in, throttled, factor_needed, link_over, weak_password, not_allowed, last_administrator, name_taken, bad_request, not_signed_in
	What  string
	Which string
	Do    string
}

func (r *Refusal) Error() string {
	s := r.What
	if r.Which != "" {
		s += " (" + r.Which + ")"
	}
	if r.Do != "" {
		s += ": " + r.Do
	}
	return s
}

func refuse(code, do, what string, args ...any) *Refusal {
	return &Refusal{Code: code, What: fmt.Sprintf(what, args...), Do: do}
}
