package enrol_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"otor/agent/enrol"
	"otor/internal/identity"
	"otor/internal/wire"
)

// authority issues credentials as a hub does.
type authority struct{ nkeys.KeyPair }

func newAuthority(t testing.TB) authority {
	t.Helper()
	kp, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	return authority{kp}
}

func (a authority) issue(t testing.TB, natsKey string, expires time.Time) string {
	t.Helper()
	c := jwt.NewUserClaims(natsKey)
	c.Expires = expires.Unix()
	token, err := c.Encode(a)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// member enrols a device whose first credentials are real ones; without a door
// its file is as older versions made it.
func member(t *testing.T, a authority, expires time.Time, door bool) (dir, natsKey string) {
	t.Helper()
	h := goodHub(t)
	h.answer = func(w http.ResponseWriter, _ *http.Request, req wire.EnrolRequest) {
		natsKey = req.NatsKey
		r := h.reply()
		r.JWT = a.issue(t, natsKey, expires)
		if door {
			r.Door = a.issue(t, natsKey, expires.AddDate(10, 0, 0))
		}
		h.write(w, r)
	}
	dir = t.TempDir()
	if _, err := enrol.Enrol(t.Context(), enrol.Config{Dir: dir, Hub: h.URL, Code: h.code(t).String()}); err != nil {
		t.Fatal(err)
	}
	return dir, natsKey
}

func load(t *testing.T, dir string) *enrol.Identity {
	t.Helper()
	id, err := enrol.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func text(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, enrol.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An identity from before there were doors is whole, and says that it has none.
func TestOldIdentityWithoutADoor(t *testing.T) {
	a := newAuthority(t)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	dir, pub := member(t, a, end, false)
	if bytes.Contains(text(t, dir), []byte(`"door"`)) {
		t.Fatal("the file knows of a door")
	}
	id := load(t, dir)
	if h := id.Holding(); *h != (wire.Holding{Incarnation: 3, Expires: end.Unix()}) {
		t.Errorf("holding %+v", h)
	}
	next, err := id.Take(dir, wire.Credentials{JWT: a.issue(t, pub, end.Add(time.Hour)), Door: a.issue(t, pub, end.AddDate(10, 0, 0))})
	if err != nil {
		t.Fatal(err)
	}
	if h := next.Holding(); *h != (wire.Holding{Incarnation: 3, Expires: end.Add(time.Hour).Unix(), Door: true}) {
		t.Errorf("holding %+v", h)
	}
	if id.Door != "" || !reflect.DeepEqual(load(t, dir), next) {
		t.Error("the file is not what was returned, or the old identity changed")
	}
	// New ordinary ones alone leave the door as it is.
	last, err := next.Take(dir, wire.Credentials{JWT: a.issue(t, pub, end.Add(2*time.Hour))})
	if err != nil || last.Door != next.Door || load(t, dir).Door != next.Door {
		t.Errorf("the door after a renewal without one: %v", err)
	}
	span := last.Span()
	if !span.Expires.Equal(end.Add(2*time.Hour)) || !span.Half().After(span.Issued) || !span.Half().Before(span.Expires) {
		t.Errorf("span %+v, half %s", span, span.Half())
	}
}

// All else in the file stays, also what this version does not know.
func TestTakeKeepsTheRestOfTheFile(t *testing.T) {
	a := newAuthority(t)
	dir, pub := member(t, a, time.Now().Add(time.Hour), true)
	path := filepath.Join(dir, enrol.FileName)
	odd := `{"from": "a newer version", "numbers": [1, 2.50, 1e400], "html": "<&>"}`
	with := strings.Replace(string(text(t, dir)), "{", `{"later": `+odd+`,`, 1)
	if err := os.WriteFile(path, []byte(with), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after map[string]json.RawMessage
	if err := json.Unmarshal(text(t, dir), &before); err != nil {
		t.Fatal(err)
	}
	id := load(t, dir)
	leftover := filepath.Join(dir, "."+enrol.FileName+".123.new") // of a crash in the middle
	if err := os.WriteFile(leftover, []byte("secrets"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := wire.Credentials{JWT: a.issue(t, pub, time.Now().Add(2*time.Hour)), Door: a.issue(t, pub, time.Now().AddDate(10, 0, 0))}
	if _, err := id.Take(dir, c); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text(t, dir), &after); err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before) {
		t.Errorf("%d parts, there were %d", len(after), len(before))
	}
	for name, was := range before {
		var x, y bytes.Buffer
		if json.Compact(&x, was) != nil || json.Compact(&y, after[name]) != nil {
			t.Fatal("not JSON")
		}
		if changed := x.String() != strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(y.String()); changed != (name == "jwt" || name == "door") {
			t.Errorf("%s: changed %v\n%s\n%s", name, changed, x.String(), y.String())
		}
	}
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("secrets of a crash lie about: %v", err)
	}
}

func TestTakeRefusesAndChangesNothing(t *testing.T) {
	a := newAuthority(t)
	dir, pub := member(t, a, time.Now().Add(time.Hour), true)
	id := load(t, dir)
	later := time.Now().Add(2 * time.Hour)
	good := a.issue(t, pub, later)
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	other, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]wire.Credentials{
		"nothing":           {},
		"a door alone":      {Door: good},
		"nonsense":          {JWT: "nonsense"},
		"another key":       {JWT: a.issue(t, other, later)},
		"another authority": {JWT: newAuthority(t).issue(t, pub, later)},
		"forged":            {JWT: good[:len(good)-4] + "AAAA"},
		"another's door":    {JWT: good, Door: a.issue(t, other, later)},
	} {
		before := text(t, dir)
		if _, err := id.Take(dir, c); !errors.Is(err, enrol.ErrCredentials) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(text(t, dir), before) {
			t.Errorf("%s: the file changed", name)
		}
	}
	// The folder became another device's, or its file is damaged or gone.
	strange, _ := member(t, a, later, true)
	for name, file := range map[string][]byte{"another device's": text(t, strange), "damaged": text(t, dir)[:100]} {
		where := t.TempDir()
		if err := os.WriteFile(filepath.Join(where, enrol.FileName), file, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := id.Take(where, wire.Credentials{JWT: good}); err == nil {
			t.Errorf("%s: taken", name)
		}
		if !bytes.Equal(text(t, where), file) {
			t.Errorf("%s: the file changed", name)
		}
	}
	if _, err := id.Take(t.TempDir(), wire.Credentials{JWT: good}); !errors.Is(err, enrol.ErrNotEnrolled) {
		t.Errorf("no file: %v", err)
	}
}

// TestTakeThroughKills has a child take credentials without end, and kills it
// at any moment: what is in the file is always whole, and always one of both.
func TestTakeThroughKills(t *testing.T) {
	a := newAuthority(t)
	later := time.Now().Add(2 * time.Hour)
	if dir := os.Getenv("OTOR_TAKE_IN"); dir != "" {
		takeForever(t, dir, os.Getenv("OTOR_TAKE_JWT"))
	}
	dir, pub := member(t, a, later, true)
	first := load(t, dir)
	other := a.issue(t, pub, later.Add(time.Hour))
	seen := map[string]int{}
	for kill := range 25 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTakeThroughKills$")
		cmd.Env = append(os.Environ(), "OTOR_TAKE_IN="+dir, "OTOR_TAKE_JWT="+first.JWT+" "+other)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 1)); err != nil { // it is at it
			t.Fatal(err)
		}
		time.Sleep(time.Duration(kill) * 317 * time.Microsecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		id := load(t, dir)
		seen[id.JWT]++
		if id.JWT != first.JWT && id.JWT != other {
			t.Fatalf("credentials of nobody: %s", id.JWT)
		}
		id.JWT = first.JWT
		if !reflect.DeepEqual(id, first) {
			t.Fatalf("something else changed: %+v", id)
		}
	}
	if len(seen) != 2 {
		t.Errorf("the kills were too easy: only %d states were seen", len(seen))
	}
	if _, err := first.Take(dir, wire.Credentials{JWT: other}); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("%d files are left in the folder: %v", len(files), err)
	}
}

func takeForever(t *testing.T, dir, tokens string) {
	id := load(t, dir)
	said := false
	for {
		for token := range strings.FieldsSeq(tokens) {
			next, err := id.Take(dir, wire.Credentials{JWT: token})
			if err != nil {
				t.Fatal(err)
			}
			id = next
		}
		if !said {
			_, _ = os.Stdout.WriteString("x")
			said = true
		}
	}
}

func TestKnock(t *testing.T) {
	a := newAuthority(t)
	dir, pub := member(t, a, time.Now().Add(-time.Hour), true)
	id := load(t, dir)
	sign, err := id.SigningKey()
	if err != nil {
		t.Fatal(err)
	}
	want := wire.Credentials{JWT: "new", Door: "new door"}
	challenge := bytes.Repeat([]byte{9}, wire.ChallengeSize)
	second := bytes.Repeat([]byte{8}, wire.ChallengeSize)
	// hub answers with one answer after the other, the last one for ever.
	hub := func(answers ...any) (func(context.Context, []byte) ([]byte, error), *[]wire.DoorHello) {
		var heard []wire.DoorHello
		return func(_ context.Context, b []byte) ([]byte, error) {
			h, err := wire.Unmarshal[wire.DoorHello](b)
			if err != nil {
				t.Error(err)
			}
			heard = append(heard, h)
			switch x := answers[min(len(heard), len(answers))-1].(type) {
			case wire.DoorAnswer:
				return wire.Marshal(x)
			case []byte:
				return x, nil
			default:
				return nil, x.(error)
			}
		}, &heard
	}
	for name, answers := range map[string][]any{
		"at once": {wire.DoorAnswer{Challenge: challenge}, wire.DoorAnswer{Credentials: &want}},
		"again":   {wire.DoorAnswer{Challenge: challenge}, wire.DoorAnswer{Challenge: second}, wire.DoorAnswer{Credentials: &want}},
	} {
		ask, heard := hub(answers...)
		got, err := id.Knock(t.Context(), ask)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for i, h := range *heard {
			if h.Incarnation != 3 || (i == 0) != (h.Proof == nil) {
				t.Errorf("%s: said %+v", name, h)
			}
			if i > 0 && !sign.Public().Verify(identity.ForDoor, wire.DoorProof(answers[i-1].(wire.DoorAnswer).Challenge, "D-101", pub), h.Proof) {
				t.Errorf("%s: proof %d does not hold", name, i)
			}
		}
	}
	cut := errors.New("cut")
	no := &wire.Refusal{Code: "revoked", What: "revoked"}
	for name, c := range map[string]struct {
		answers []any
		is      error
	}{
		"refused":        {[]any{wire.DoorAnswer{Refused: no}}, nil},
		"cut":            {[]any{wire.DoorAnswer{Challenge: challenge}, cut}, cut},
		"nonsense":       {[]any{[]byte("nonsense")}, wire.ErrMalformed},
		"silence":        {[]any{wire.DoorAnswer{}}, wire.ErrMalformed},
		"never content":  {[]any{wire.DoorAnswer{Challenge: challenge}}, nil},
		"half an answer": {[]any{wire.DoorAnswer{Challenge: challenge[1:]}}, wire.ErrMalformed},
	} {
		ask, heard := hub(c.answers...)
		got, err := id.Knock(t.Context(), ask)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || got != (wire.Credentials{}) || len(*heard) > 3 {
			t.Errorf("%s: %+v, %v after %d messages", name, got, err, len(*heard))
		}
		if refusal, ok := errors.AsType[*wire.Refusal](err); ok != (name == "refused") || ok && *refusal != *no {
			t.Errorf("%s: %v", name, err)
		}
	}
}
