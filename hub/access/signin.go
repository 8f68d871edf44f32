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
	right, err := d.fits(ctx, name, a.From, a.Password, phc, known)
	if err != nil {
		return "", Who{}, err
	}
	if !right {
		return "", Who{}, d.refused(ctx, name, a.From, known)
	}
	if err := d.secondFactor(ctx, o, a); err != nil {
		return "", Who{}, err
	}
	d.forgive(name)
	return d.begin(ctx, o, a.From)
}

// fits compares a password with a hash, when its turn comes, and counts it if it is wrong. Of many
// tries at once those whose turn comes after too many failures are not looked at:
// whether they may was asked when they were few. Refusal: throttled.
func (d *Desk) fits(ctx context.Context, name, from, password, phc string, known bool) (right bool, err error) {
	err = d.turn(ctx, func() (err error) {
		if err := d.mayTry(name, from); err != nil {
			return err
		}
		if len(password) <= 4*MaxPassword { // no password here is longer
			right, err = matches(password, phc)
		}
		if right = right && known; err == nil && !right {
			d.wrong(name, from)
		}
		return err
	})
	return right, err
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
	d.codes.Lock() // one after the other: of many codes tried at once each is counted before the next
	defer d.codes.Unlock()
	if err := d.mayTry(o.Name, a.From); err != nil {
		return err
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
		d.wrong(o.Name, a.From)
		err = d.refused(ctx, o.Name, a.From, true)
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

// wrong counts a wrong try.
func (d *Desk) wrong(name, from string) {
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
}

// refused answers a wrong try: all of them get the same words.
func (d *Desk) refused(ctx context.Context, name, from string, known bool) error {
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
