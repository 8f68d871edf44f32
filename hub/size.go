package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag's number of bytes, such as 256MiB.
type byteSize int64

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "size, such as 512MiB" }

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Set implements pflag.Value: a whole number of bytes, KiB, MiB or GiB. A bare
// K, M or G, or KB, MB, GB, is taken as the binary one.
func (b *byteSize) Set(s string) error {
	digits := strings.TrimRight(s, "KMGTiIBbkmgt ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return errors.New("write a whole number of bytes, or like 512MiB")
	}
	unit := strings.ToUpper(strings.TrimSpace(s[len(digits):]))
	shift, ok := map[string]uint{"": 0, "B": 0, "K": 10, "KB": 10, "KIB": 10, "M": 20, "MB": 20, "MIB": 20, "G": 30, "GB": 30, "GIB": 30}[unit]
	if !ok || n > math.MaxInt64>>shift {
		return errors.New("write a whole number of bytes, or like 512MiB")
	}
	*b = byteSize(n << shift)
	return nil
}
