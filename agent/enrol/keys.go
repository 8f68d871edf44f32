package enrol

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"

	"otor/internal/durable"
	"otor/internal/identity"
)

// pendingName is the file of an enrolment whose end is not known: the keys that
// were, or will be, sent with one code.
const pendingName = "enrolling.json"

// keys are made before the request.
type keys struct {
	sign     identity.SigningKey
	nats     string // public
	natsSeed []byte
	store    []byte
}

// pending is what pendingName holds.
type pending struct {
	Code    []byte  `json:"code_hash"` // of the code that the keys belong to
	Secrets Secrets `json:"secrets"`
}

// keysFor gives the keys to send with a code: those that were made for it in an
// earlier attempt, else new ones. They are on the disk when it returns.
func keysFor(dir string, code identity.Secret) (keys, error) {
	path, hash := filepath.Join(dir, pendingName), code.Hash()
	if b, err := os.ReadFile(path); err == nil {
		var p pending
		// One that cannot be read belongs to no code: its attempt never got as far as the hub.
		if json.Unmarshal(b, &p) == nil && string(p.Code) == string(hash[:]) {
			if k, err := keysFrom(p.Secrets); err == nil {
				return k, nil
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return keys{}, err
	}
	k, err := makeKeys()
	if err != nil {
		return k, err
	}
	b, err := json.Marshal(pending{Code: hash[:], Secrets: k.secrets()})
	if err != nil {
		return k, err
	}
	return k, durable.WriteFile(path, append(b, '\n'), 0o600)
}

// forget removes what was kept for another attempt, once the device is enrolled or
// the hub itself says that the code is none. Whatever else went wrong, an earlier
// attempt with these keys may have succeeded, and its answer be on its way.
func forget(dir string, err error) error {
	if err != nil && !over(err) {
		return nil
	}
	if err := os.Remove(filepath.Join(dir, pendingName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.SyncDir(dir)
}

// over reports whether no further attempt with this code can succeed.
func over(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(e.Kind, ErrCredential) {
		return false
	}
	switch e.Code {
	case "code_unknown", "code_used", "code_expired":
		return true
	}
	return false
}

func makeKeys() (keys, error) {
	var k keys
	var err error
	if k.sign, err = identity.NewSigningKey(rand.Reader); err != nil {
		return k, err
	}
	pair, err := nkeys.CreateUser()
	if err != nil {
		return k, err
	}
	if k.nats, err = pair.PublicKey(); err != nil {
		return k, err
	}
	if k.natsSeed, err = pair.Seed(); err != nil {
		return k, err
	}
	k.store = make([]byte, 32)
	_, err = rand.Read(k.store)
	return k, err
}

func (k keys) secrets() Secrets {
	return Secrets{NatsSeed: string(k.natsSeed), SignSeed: k.sign.Seed(), StoreKey: k.store}
}

func keysFrom(s Secrets) (k keys, err error) {
	if len(s.StoreKey) != 32 {
		return k, errors.New("no store key")
	}
	if k.sign, err = identity.SigningKeyFromSeed(s.SignSeed); err != nil {
		return k, err
	}
	pair, err := nkeys.FromSeed([]byte(s.NatsSeed))
	if err != nil {
		return k, err
	}
	k.nats, err = pair.PublicKey()
	k.natsSeed, k.store = []byte(s.NatsSeed), s.StoreKey
	return k, err
}
