package xlsform

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
)

// maxParts bounds the files in a workbook.
const maxParts = 2000

// checkZip looks at a workbook's table of contents before anything is
// unpacked: how many parts, how large they claim to be. A part that is larger
// than it claims is stopped by the reader's own limit.
func checkZip(src []byte) error {
	z, err := zip.NewReader(bytes.NewReader(src), int64(len(src)))
	if err != nil {
		return errors.New("it is not a zip archive, which every .xlsx is")
	}
	if len(z.File) > maxParts {
		return fmt.Errorf("it has %d parts and at most %d are read", len(z.File), maxParts)
	}
	var unpacked uint64
	for _, f := range z.File {
		if unpacked += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || unpacked > maxUnpacked {
			return fmt.Errorf("it would unpack to more than %d MiB", maxUnpacked>>20)
		}
	}
	return nil
}
