package postgres

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// PostgreSQL keeps UTF-8 without NUL as text, and nothing else; the hub keeps what
// devices sent. So three things are written in place of others, each as the sign
// 0x01 and what follows it:
//
//	0x00                        0x01 0x01
//	0x01                        0x01 0x02
//	a byte that is not UTF-8    0x01 0x03 and its two hex digits
//
// It is exact both ways and keeps texts that differ apart. Texts of the first two
// kinds also keep their order. Nearly all texts hold none of them and stay as they are.
const sign = 0x01

// plain reports whether a text stays as it is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= sign {
			return false
		}
	}
	return utf8.ValidString(s)
}

// escape writes a text as PostgreSQL keeps it.
func escape(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == 0:
			b.WriteString("\x01\x01")
		case r == sign:
			b.WriteString("\x01\x02")
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "\x01\x03%02x", s[0])
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// unescape reads what escape wrote. What it never writes stays as it is.
func unescape(s string) string {
	at := strings.IndexByte(s, sign)
	if at < 0 {
		return s
	}
	var b strings.Builder
	for ; at >= 0; at = strings.IndexByte(s, sign) {
		b.WriteString(s[:at])
		s = s[at:]
		var hex byte
		switch {
		case strings.HasPrefix(s, "\x01\x01"):
			b.WriteByte(0)
			s = s[2:]
		case strings.HasPrefix(s, "\x01\x02"):
			b.WriteByte(sign)
			s = s[2:]
		case strings.HasPrefix(s, "\x01\x03") && len(s) >= 4:
			if _, err := fmt.Sscanf(s[2:4], "%02x", &hex); err != nil {
				b.WriteString(s[:4])
			} else {
				b.WriteByte(hex)
			}
			s = s[4:]
		default:
			b.WriteByte(sign)
			s = s[1:]
		}
	}
	b.WriteString(s)
	return b.String()
}
