package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nkeys"

	"otor/internal/durable"
	"otor/internal/identity"
)

// The files of DIR/keys. All are 0600 and written before anything uses them.
// The first six are the hub's identity and never change; losing one means
// enrolling every device again, so they belong in every backup.
const (
	operatorFile = "operator.nk" // nkey seed: signs accounts
	fieldFile    = "field.nk"    // nkey seed: signs devices' users
	storeFile    = "store.nk"    // nkey seed: signs the workers' user
	systemFile   = "system.nk"   // nkey seed: the NATS system account
	hubFile      = "hub.seed"    // PEM: signs receipts and epochs
	caKeyFile    = "ca.key"      // PEM: signs server certificates
	caFile       = "ca.pem"      // PEM: the CA's certificate
	serverFile   = "server.pem"  // PEM: server certificate and key, reissued freely
	revokedFile  = "revoked.json"
)

const hubSeedType = "OTOR HUB SIGNING SEED"

// keyring holds the hub's secrets. It is never changed after it was opened.
type keyring struct {
	dir                            string
	operator, field, store, system nkeys.KeyPair
	hub                            identity.SigningKey
	ca                             authority
}

// ErrKeys marks a key folder of which a part is missing or damaged.
var ErrKeys = errors.New("open the hub's keys")

// HubKey reads the hub's signing key from its folder, which gets its keys when
// it has none yet. It errs as [Open] does.
func HubKey(dir string, now time.Time) (identity.SigningKey, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return identity.SigningKey{}, fmt.Errorf("open the hub's folder: %w", err)
	}
	k, err := openKeys(filepath.Join(dir, "keys"), now)
	if err != nil {
		return identity.SigningKey{}, err
	}
	return k.hub, nil
}

// openKeys reads the key folder, or makes it when there is none.
func openKeys(dir string, now time.Time) (*keyring, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := makeKeys(dir, now); err != nil {
			return nil, fmt.Errorf("make the hub's keys in %s: %w", dir, err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("open the hub's keys: %w", err)
	}
	k, err := readKeys(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; restore the folder %s from a backup (new keys would mean enrolling every device again)", ErrKeys, err, dir)
	}
	return k, nil
}

// makeKeys builds the folder beside its final place and renames it, so that a
// crash leaves either no keys or all of them.
func makeKeys(dir string, now time.Time) error {
	if err := durable.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	tmp := dir + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{}
	for name, create := range map[string]func() (nkeys.KeyPair, error){
		operatorFile: nkeys.CreateOperator, fieldFile: nkeys.CreateAccount,
		storeFile: nkeys.CreateAccount, systemFile: nkeys.CreateAccount,
	} {
		kp, err := create()
		if err != nil {
			return err
		}
		if files[name], err = kp.Seed(); err != nil {
			return err
		}
	}
	hub, err := identity.NewSigningKey(rand.Reader)
	if err != nil {
		return err
	}
	files[hubFile] = pem.EncodeToMemory(&pem.Block{Type: hubSeedType, Bytes: hub.Seed()})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert, err := newCA(key, now)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	files[caKeyFile] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	files[caFile] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for name, b := range files {
		if err := durable.WriteFile(filepath.Join(tmp, name), b, 0o600); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

func readKeys(dir string) (*keyring, error) {
	k := &keyring{dir: dir}
	for name, into := range map[string]*nkeys.KeyPair{
		operatorFile: &k.operator, fieldFile: &k.field, storeFile: &k.store, systemFile: &k.system,
	} {
		seed, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if *into, err = nkeys.FromSeed(seed); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	seed, err := readPEM(dir, hubFile, hubSeedType)
	if err != nil {
		return nil, err
	}
	if k.hub, err = identity.SigningKeyFromSeed(seed); err != nil {
		return nil, fmt.Errorf("%s: %w", hubFile, err)
	}
	if k.ca, err = readCA(dir); err != nil {
		return nil, err
	}
	return k, nil
}

func readPEM(dir, name, kind string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: no PEM block %s in it", name, kind)
	}
	return block.Bytes, nil
}

// ErrRevocations is for a list of revoked keys that cannot be read.
var ErrRevocations = errors.New("the list of revoked keys is damaged")

// revocations maps a user's public NATS key to when it was revoked, Unix
// seconds. A revoked key never becomes valid again.
type revocations map[string]int64

func (k *keyring) readRevocations() (revocations, error) {
	b, err := os.ReadFile(filepath.Join(k.dir, revokedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return revocations{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	r := revocations{}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrRevocations, filepath.Join(k.dir, revokedFile), err)
	}
	return r, nil
}

func (k *keyring) writeRevocations(r revocations) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(k.dir, revokedFile), append(b, '\n'), 0o600)
}

// revokeAlso reads the revocations and adds those that they lack.
func (k *keyring) revokeAlso(keys []string, now time.Time) (revocations, error) {
	r, err := k.readRevocations()
	if err != nil {
		return nil, err
	}
	before := len(r)
	for _, key := range keys {
		if _, known := r[key]; !known {
			r[key] = now.Unix()
		}
	}
	if len(r) == before {
		return r, nil
	}
	if err := k.writeRevocations(r); err != nil {
		return nil, fmt.Errorf("revoke what the database calls revoked: %w", err)
	}
	return r, nil
}
