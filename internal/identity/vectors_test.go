package identity_test

import (
	"encoding/hex"
	"reflect"
	"testing"

	"otor/internal/golden"
	"otor/internal/identity"
)

type vectors struct {
	Secret     string            `json:"secret"`
	SPKI       string            `json:"subject_public_key_info"` // any bytes: a pin is of their hash
	Pin        string            `json:"pin"`
	SecretHash string            `json:"secret_hash"`
	Code       string            `json:"code"`
	Hub        string            `json:"hub"`
	QRText     string            `json:"qr_text"`
	Seed       string            `json:"signing_seed"`
	PublicKey  string            `json:"public_key"`
	Message    string            `json:"message"`
	Signatures map[string]string `json:"signatures"` // of the message, by purpose
}

func sampleCode() identity.Code {
	return identity.Code{Secret: identity.Secret{0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4}, Pin: identity.PinOf([]byte("otor test key"))}
}

func build(t testing.TB) vectors {
	c := sampleCode()
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = byte(i)
	}
	k, err := identity.SigningKeyFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	h := c.Secret.Hash()
	v := vectors{
		Secret: hex.EncodeToString(c.Secret[:]), SPKI: hex.EncodeToString([]byte("otor test key")), Pin: hex.EncodeToString(c.Pin[:]),
		SecretHash: hex.EncodeToString(h[:]), Code: c.String(), Hub: "https://192.0.2.7:8480", QRText: c.QRText("https://192.0.2.7:8480"),
		Seed: hex.EncodeToString(seed), PublicKey: k.Public().String(), Message: hex.EncodeToString([]byte("message")),
		Signatures: map[string]string{},
	}
	for _, d := range []identity.Domain{identity.ForBatch, identity.ForReceipt, identity.ForEpoch, identity.ForEnrol, identity.ForDoor} {
		v.Signatures[string(d)] = hex.EncodeToString(k.Sign(d, []byte("message")))
	}
	return v
}

func TestVectors(t *testing.T) {
	got := build(t)
	golden.Update(t, got)
	v := golden.Load[vectors](t)
	if !reflect.DeepEqual(got, v) {
		t.Errorf("bytes changed\n got %+v\nwant %+v", got, v)
	}
	c, hub, err := identity.ParseQRText(v.QRText)
	if err != nil || c != sampleCode() || hub != v.Hub {
		t.Errorf("QR text reads as %v, %q, %v", c, hub, err)
	}
	if c, err := identity.ParseCode(v.Code); err != nil || c != sampleCode() {
		t.Errorf("code reads as %v, %v", c, err)
	}
}

func TestSignaturesStayWithTheirPurpose(t *testing.T) {
	k, err := identity.SigningKeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	all := []identity.Domain{identity.ForBatch, identity.ForReceipt, identity.ForEpoch, identity.ForEnrol, identity.ForDoor}
	for _, made := range all {
		sig := k.Sign(made, []byte("m"))
		for _, used := range all {
			if got := k.Public().Verify(used, []byte("m"), sig); got != (made == used) {
				t.Errorf("signature for %s under %s: %v", made, used, got)
			}
		}
		if k.Public().Verify(made, []byte("n"), sig) || k.Public().Verify(made, []byte("m"), sig[:63]) || k.Public().Verify(made, []byte("m"), nil) {
			t.Errorf("%s: a wrong message or a cut signature was accepted", made)
		}
	}
}

func TestKeyText(t *testing.T) {
	k, err := identity.SigningKeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	var p identity.PublicKey
	for _, bad := range []string{"", "x", k.Public().String()[1:], k.Public().String() + "A", k.Public().String() + "="} {
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q accepted as a public key", bad)
		}
	}
	if (identity.SigningKey{}).String() == "" || !(identity.SigningKey{}).IsZero() {
		t.Error("a key that was never set must say so")
	}
}
