package xlsform_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

func wellFormed(src []byte) error {
	d := xml.NewDecoder(bytes.NewReader(src))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
