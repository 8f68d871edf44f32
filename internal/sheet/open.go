package sheet

import (
	"bytes"
	"io"
)

// Open looks what kind of list it is and prepares to read it. sheetName chooses a
// sheet of a workbook; empty: the first one that has something in it. Errors
// are [*Fault]s, or those of r.
func Open(r io.Reader, sheetName string, l Limits) (*Source, error) {
	src, err := io.ReadAll(io.LimitReader(r, l.File+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(src)) > l.File:
		return nil, fault("too_large", 0, "split the list", "the file is larger than %d MB", l.File>>20)
	case len(bytes.TrimSpace(src)) == 0:
		return nil, fault("empty", 0, "choose another file", "the file is empty")
	}
	switch {
	case bytes.HasPrefix(src, []byte("PK\x03\x04")), bytes.HasPrefix(src, []byte("PK\x05\x06")):
		return openWorkbook(src, sheetName, l)
	case bytes.HasPrefix(src, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		// Both an old workbook and a protected one are OLE files; the latter has
		// a stream of this name, in UTF-16.
		if bytes.Contains(src, utf16LE("EncryptedPackage")) {
			return nil, fault("protected", 0, "open it in your office program, take the password away, and save it", "the workbook is protected by a password")
		}
		return nil, fault("old_format", 0, "open it and save it as .xlsx or .csv", "this is a workbook of the old kind (.xls), or no workbook")
	case bytes.HasPrefix(src, []byte("%PDF")):
		return nil, fault("not_a_list", 0, "ask for the list as .xlsx or .csv", "this is a PDF")
	}
	return openText(src, l)
}

func utf16LE(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return b
}
