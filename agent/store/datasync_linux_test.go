package store_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func datasync(tb testing.TB, f *os.File) {
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		tb.Fatal(err)
	}
}
