package reconcile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"otor/internal/identity"
	"otor/internal/sheet"
)

// Signed is a statement as it leaves the hub. Its JSON may be laid out anew, its
// content not.
type Signed struct {
	Statement json.RawMessage    `json:"statement"`
	Key       identity.PublicKey `json:"key"`
	Signature []byte             `json:"signature"`
}

// Errors of [Verify].
var (
	ErrNotSigned = errors.New("not a signed statement")
	ErrChanged   = errors.New("the statement was changed after it was signed")
	ErrOtherHub  = errors.New("the statement was signed by another hub")
)

// maxStatement bounds a statement's JSON in bytes.
const maxStatement = 16 << 20

// Sign signs a statement with the hub's key, which it names.
func Sign(s Statement, key identity.SigningKey) (Signed, error) {
	s.Hub = key.Public().String()
	b, err := json.Marshal(s)
	if err != nil {
		return Signed{}, fmt.Errorf("sign a statement: %w", err)
	}
	if len(b) > maxStatement {
		return Signed{}, fmt.Errorf("sign a statement: %d bytes, at most %d: choose a shorter period", len(b), maxStatement)
	}
	return Signed{Statement: b, Key: key.Public(), Signature: key.Sign(identity.ForStatement, b)}, nil
}

// Digest is the SHA-256 of what was signed, in hexadecimal, as it is printed.
func (s Signed) Digest() string {
	sum := sha256.Sum256(s.Statement)
	return hex.EncodeToString(sum[:])
}

// Verify reads a statement, from its JSON or from the workbook that was made of
// it, and checks the signature. hub is the key that must have signed it; nil:
// the key that it names, which shows that nothing was changed and not who made it.
func Verify(file []byte, hub *identity.PublicKey) (Statement, Signed, error) {
	if bytes.HasPrefix(file, []byte("PK")) {
		var err error
		if file, err = fromWorkbook(file); err != nil {
			return Statement{}, Signed{}, err
		}
	}
	var s Signed
	if len(file) > 2*maxStatement || json.Unmarshal(file, &s) != nil || len(s.Statement) == 0 {
		return Statement{}, Signed{}, fmt.Errorf("%w: give the .json or the .xlsx that the hub wrote", ErrNotSigned)
	}
	var plain bytes.Buffer
	if err := json.Compact(&plain, s.Statement); err != nil {
		return Statement{}, Signed{}, fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	s.Statement = plain.Bytes()
	if !s.Key.Verify(identity.ForStatement, s.Statement, s.Signature) {
		return Statement{}, Signed{}, ErrChanged
	}
	if hub != nil && *hub != s.Key {
		return Statement{}, Signed{}, fmt.Errorf("%w: by %s, not by %s", ErrOtherHub, s.Key, hub)
	}
	var st Statement
	if err := json.Unmarshal(s.Statement, &st); err != nil {
		return Statement{}, Signed{}, fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	if st.Version != 1 {
		return Statement{}, Signed{}, fmt.Errorf("%w: version %d is not known here; use the hub's newer program", ErrNotSigned, st.Version)
	}
	return st, s, nil
}

// signedSheet holds the signed statement inside of a workbook, in pieces that
// fit into cells.
const (
	signedSheet = "signed"
	piece       = 30_000
)

func signedTable(s Signed) (sheet.Table, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return sheet.Table{}, err
	}
	text := []rune(string(b))
	return sheet.Table{
		Name: signedSheet, Columns: []sheet.Column{{Title: "signed statement", Width: 60}},
		Rows: func(yield func([]any) bool) {
			for len(text) > 0 {
				n := min(piece, len(text))
				if !yield([]any{string(text[:n])}) {
					return
				}
				text = text[n:]
			}
		},
	}, nil
}

func fromWorkbook(file []byte) ([]byte, error) {
	l := sheet.Usual
	// A statement's text, with what XML makes of its quotation marks, and its tables.
	l.File, l.Unpacked, l.Cell = 2*maxStatement, 8*maxStatement, 4*piece
	src, err := sheet.Open(bytes.NewReader(file), signedSheet, l)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	defer func() { _ = src.Close() }() // only read
	var b bytes.Buffer
	first := true
	for r, err := range src.Rows() {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotSigned, err)
		}
		if first { // the title
			first = false
			continue
		}
		if len(r.Cells) > 0 {
			b.WriteString(r.Cells[0])
		}
		if b.Len() > 2*maxStatement {
			return nil, fmt.Errorf("%w: it holds more than any statement", ErrNotSigned)
		}
	}
	return b.Bytes(), nil
}

// WriteJSON writes the statement, laid out for people.
func (s Signed) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}
