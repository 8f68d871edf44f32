package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// layBallast takes the space without writing it, where the file system can.
func layBallast(path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if unix.Fallocate(int(f.Fd()), 0, 0, ballastSize) == nil {
		return nil
	}
	_, err = f.Write(make([]byte, ballastSize))
	return err
}
