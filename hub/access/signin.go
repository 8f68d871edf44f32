package access

import (
	"context"
	"strings"
	"time"

	"otor/hub/store"
)

// Attempt is a try to sign in.
type Attempt struct {
	Name, Password string
	Code           string // of the second factor, if there is one
	From           string // host:port
}

// SignIn begins a session. secret is for the browser's cookie and is not kept.
// Refusals: bad_sign_in, factor_needed (the password was right), throttled.
func (d *Desk) SignIn(ctx context.Context, a Attempt) (secret string, who Who, err error) {
	name := clean(a.Name)
	if err := d.mayTry(name, a.From); err != nil {
		return "", Who{}, err
	}
	o, err := d.find(ctx, name)
	if err != nil && !notFound(err) {
		return "", Who{}, err
	}
	known := err == nil && o.Password != ""
	phc := d.dummy
	if known {
		phc = o.Password
	}
	var right bool
	err = d.turn(ctx, func() (err error) {
		if len(a.Password) > 4*MaxPassword {
			return nil // no password here is as long
		}
		right, err = matches(a.Password, phc)
		return err
	})
	if err != nil {
		return "", Who{}, err
	}
	if !known || !right {
		return "", Who{}, d.failed(ctx, name, a.From, known)
	}
	if err := d.secondFactor(ctx, o, a); err != nil {
		return "", Who{}, err
	}
	d.forgive(name)
	return d.begin(ctx, o, a.From)
}

// secondFactor checks the code, when the operator has a second factor, and
// makes sure that it is taken only once.
func (d *Desk) secondFactor(ctx context.Context, o store.Operator, a Attempt) error {
	if o.TOTP == nil {
		return nil
	}
	if strings.TrimSpace(a.Code) == "" {
		return refuse("factor_needed", "type the six digits that your authenticator shows", "this account has a second factor")
	}
	var good bool
	err := d.Store.ChangeOperator(ctx, o.Name, func(now *store.Operator) error {
		secret, err := openFactor(d.box, now.Name, now.TOTP)
		if err != nil {
			return err
		}
		var step int64
		if step, good = stepOf(secret, a.Code, d.Now(), now.TOTPStep); good {
			now.TOTPStep = step
		}
		return nil
	})
	if err == nil && !good {
		err = d.failed(ctx, o.Name, a.From, true)
	}
	return err
}

// begin makes the session.
func (d *Desk) begin(ctx context.Context, o store.Operator, from string) (string, Who, error) {
	secret, hash, err := d.secret()
	if err != nil {
		return "", Who{}, err
	}
	if err := d.note(ctx, Note{Who: o.Name, Kind: "signed_in", Subject: o.Name, Words: "from " + host(from)}); err != nil {
		return "", Who{}, err
	}
	now := d.Now()
	err = d.Store.AddSession(ctx, store.Session{
		Hash: hash, Operator: o.Name, Generation: o.Generation, BeganAt: now.UnixMilli(), SeenAt: now.UnixMilli(),
		EndsAt: now.Add(SessionEnds).UnixMilli(), From: host(from),
	})
	return secret, whoIs(o, "session"), err
}

// BySession says who a browser's secret belongs to, and that they are there. Refusal:
// not_signed_in.
func (d *Desk) BySession(ctx context.Context, secret string) (Who, error) {
	return d.bySession(ctx, secret, true)
}

// WatchSession is BySession for what a page asks for by itself: nobody need be there.
func (d *Desk) WatchSession(ctx context.Context, secret string) (Who, error) {
	return d.bySession(ctx, secret, false)
}

func (d *Desk) bySession(ctx context.Context, secret string, used bool) (Who, error) {
	over := refuse("not_signed_in", "sign in", "nobody is signed in here, or the session is over")
	if secret == "" || len(secret) > 64 {
		return Who{}, over
	}
	s, err := d.Store.Session(ctx, hashOf(secret))
	if notFound(err) {
		return Who{}, over
	}
	if err != nil {
		return Who{}, err
	}
	now := d.Now().UnixMilli()
	if now >= s.EndsAt || now-s.SeenAt >= IdleAfter.Milliseconds() {
		return Who{}, over
	}
	o, err := d.find(ctx, s.Operator)
	if notFound(err) || err == nil && o.Generation != s.Generation {
		return Who{}, over
	}
	if err != nil {
		return Who{}, err
	}
	if used && now-s.SeenAt >= seenEvery.Milliseconds() {
		if err := d.Store.SeeSession(ctx, s.Hash, now); err != nil {
			return Who{}, err
		}
	}
	return whoIs(o, "session"), nil
}

// SignOut ends a browser's session.
func (d *Desk) SignOut(ctx context.Context, secret string) error {
	return d.Store.EndSession(ctx, hashOf(secret))
}

// mayTry asks both throttles.
func (d *Desk) mayTry(name, from string) error {
	now := d.Now()
	wait := d.byFrom.Wait(from, now)
	d.mu.Lock()
	if f := d.byName[name]; f != nil && f.n > freeFailures {
		pause := min(firstWait<<min(f.n-freeFailures-1, 16), longestWait)
		wait = max(wait, f.last.Add(pause).Sub(now))
	}
	d.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	r := refuse("throttled", "wait, then try again; an administrator can make a new link for you", "too many wrong passwords")
	r.Which = wait.Round(time.Second).String()
	return r
}

// failed counts a wrong try. All of them get the same words.
func (d *Desk) failed(ctx context.Context, name, from string, known bool) error {
	now := d.Now()
	d.byFrom.Wrong(from, now)
	d.mu.Lock()
	f := d.byName[name]
	if f == nil {
		d.makeRoom()
		f = &failures{}
		d.byName[name] = f
	}
	f.n, f.last = f.n+1, now
	d.mu.Unlock()
	if known { // names that people mistype, passwords among them, belong into no audit
		if err := d.note(ctx, Note{Who: name, Kind: "refused", Subject: name, Words: "wrong password or code, from " + host(from)}); err != nil {
			return err
		}
	}
	return refuse("bad_sign_in", "check both; an administrator can make a new link for you", "name, password or code are not right")
}

// makeRoom forgets the name whose last failure is longest ago.
func (d *Desk) makeRoom() {
	if len(d.byName) < maxNames {
		return
	}
	var oldest string
	for n, f := range d.byName {
		if oldest == "" || f.last.Before(d.byName[oldest].last) {
			oldest = n
		}
	}
	delete(d.byName, oldest)
}

func (d *Desk) forgive(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byName, name)
}
