package enrol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/identity"
)

// FileName is the identity's file in the device's folder.
const FileName = "identity.json"

// formatVersion is that of the file; a program refuses what it does not know.
const formatVersion = 1

// Unprotected says that the secrets lie in the file as they are. Other kinds of
// protection have other names, so that this program refuses what it cannot open.
const Unprotected = "none"

// maxFile bounds the file in bytes.
const maxFile = 1 << 20

// Errors of a device's folder.
var (
	ErrNotEnrolled = errors.New("this device is not enrolled yet; ask the hub's operator for a code and run: agent enrol CODE --hub URL")
	ErrEnrolled    = errors.New("this folder belongs to an enrolled device already")
	ErrNewer       = errors.New("it was made by a newer agent")
	ErrDamaged     = errors.New("the device's identity file is damaged")
)

// Identity is all that a device is and knows itself by. It never leaves the
// device. Printing it shows no secret.
type Identity struct {
	Version     int                `json:"version"`
	Protection  string             `json:"protection"`
	Device      dot.Device         `json:"device"`
	Incarnation dot.Incarnation    `json:"incarnation"`
	Previous    dot.Incarnation    `json:"previous,omitempty"` // the life before this one, 0: none
	Hub         string             `json:"hub"`                // https://host:port
	NatsURLs    []string           `json:"nats"`               // tls://host:port
	CA          string             `json:"ca"`                 // PEM
	HubKey      identity.PublicKey `json:"hub_key"`
	Epoch       []byte             `json:"epoch"` // signed certificate as of enrolment
	Scopes      []string           `json:"scopes"`
	EnrolledAt  int64              `json:"enrolled_at"` // Unix milliseconds of the hub's clock
	JWT         string             `json:"jwt"`
	Door        string             `json:"door,omitempty"` // empty: enrolled before there were doors, until its next contact
	Secrets     Secrets            `json:"secrets"`
}

// Secrets are made on the device.
type Secrets struct {
	NatsSeed string `json:"nats_seed"` // nkey user seed
	SignSeed []byte `json:"sign_seed"` // Ed25519, 32 bytes
	StoreKey []byte `json:"store_key"` // for the database's AEAD, 32 bytes
}

func (Secrets) String() string { return "(secret)" }

// GoString shows no secret either.
func (Secrets) GoString() string { return "(secret)" }

// String names the device and its life.
func (id *Identity) String() string { return fmt.Sprintf("%s/%d", id.Device, id.Incarnation) }

// SigningKey returns the key that signs batches.
func (id *Identity) SigningKey() (identity.SigningKey, error) {
	return identity.SigningKeyFromSeed(id.Secrets.SignSeed)
}

// StoreKey returns the key of the database's AEAD.
func (id *Identity) StoreKey() [32]byte { return [32]byte(id.Secrets.StoreKey) }

// check finds what could not have been written by Enrol.
func (id *Identity) check() error {
	if _, err := dot.ParseDevice(string(id.Device)); err != nil {
		return err
	}
	if id.Incarnation == 0 || len(id.NatsURLs) == 0 || id.JWT == "" || id.CA == "" || id.Secrets.NatsSeed == "" {
		return errors.New("a part is missing")
	}
	if len(id.Secrets.StoreKey) != 32 {
		return fmt.Errorf("the store key has %d bytes, want 32", len(id.Secrets.StoreKey))
	}
	_, err := id.SigningKey()
	return err
}

// Load reads the identity in dir. Errors wrap [ErrNotEnrolled] when there is
// none and [ErrDamaged] when it cannot be read as one.
func Load(dir string) (*Identity, error) {
	path := filepath.Join(dir, FileName)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotEnrolled)
	}
	if err != nil {
		return nil, fmt.Errorf("read the device's identity: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the device's identity: %w", err)
	}
	return parse(path, b)
}

func parse(path string, b []byte) (*Identity, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", path, ErrDamaged, maxFile)
	}
	var kind struct {
		Version    int    `json:"version"`
		Protection string `json:"protection"`
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	if kind.Version > formatVersion || kind.Version == formatVersion && kind.Protection != Unprotected {
		return nil, fmt.Errorf("%s: %w (version %d, protection %q); nothing was changed, use the newer one", path, ErrNewer, kind.Version, kind.Protection)
	}
	var id Identity
	if err := json.Unmarshal(b, &id); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	return &id, nil
}

func (id *Identity) save(dir string) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, FileName), append(b, '\n'), 0o600)
}

// writable makes the folder and tries a write, BEFORE a code is spent on it.
func writable(dir string) error {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".enrol-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 8<<10)) // more than the file will need
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}
