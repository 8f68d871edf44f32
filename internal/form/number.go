package form

import (
	"strings"
	"time"
)

// fictionalProvince begins the resident numbers that no province issues
// (GB/T 2260 has no 99). The demonstration's area is 999922.
const fictionalProvince = "99"

// residentWeights are those of MOD 11-2 for the first 17 digits, and
// residentMarks the last character by the weighted sum modulo 11 (GB 11643).
var residentWeights = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}

const residentMarks = "10X98765432"

// CheckResidentID judges a resident identity number (GB 11643): 17 digits and
// a digit or X; then the last character by MOD 11-2; then a birth date that the
// calendar has and that is not after env.Today. A lower-case x is accepted. The
// fictional area is accepted in demo mode only. The code is "" when the number
// is in order; the words never repeat the number.
func CheckResidentID(s string, env Env) (Code, string) {
	if len(s) != 18 {
		return IDShape, "a resident number has 18 characters; compare it with the card"
	}
	sum := 0
	for i := range 17 {
		if s[i] < '0' || s[i] > '9' {
			return IDShape, "a resident number has 17 digits, then a digit or X; compare it with the card"
		}
		sum += int(s[i]-'0') * residentWeights[i]
	}
	mark := s[17]
	if mark == 'x' {
		mark = 'X'
	}
	if mark != 'X' && (mark < '0' || mark > '9') {
		return IDShape, "a resident number ends in a digit or X; compare it with the card"
	}
	if s[:2] == fictionalProvince && !env.DemoMode {
		return IDShape, "this number belongs to a fictional area, which is accepted in demo mode only"
	}
	if residentMarks[sum%11] != mark {
		return IDChecksum, "a digit of the resident number is mistyped; compare it with the card"
	}
	y, _ := digits(s[6:10])
	m, _ := digits(s[10:12])
	d, _ := digits(s[12:14])
	born := Date{y, time.Month(m), d}
	if !born.real() {
		return IDDate, "the birth date in the resident number does not exist; compare it with the card"
	}
	if !env.Today.IsZero() && born.Compare(env.Today) > 0 {
		return IDDate, "the birth date in the resident number lies ahead of today; compare it with the card and the clock"
	}
	return "", ""
}

// StoredResidentID returns the number as it is stored: with an upper-case X.
func StoredResidentID(s string) string {
	if strings.HasSuffix(s, "x") {
		return s[:len(s)-1] + "X"
	}
	return s
}

// CheckPhone judges a mobile number: 11 digits, the first a 1, the second 3 to
// 9 (assumed, the numbering plan changes). The code is "" when it is in order;
// the words never repeat the number.
func CheckPhone(s string) (Code, string) {
	_, ok := digits(s)
	if len(s) != 11 || !ok || s[0] != '1' || s[1] < '3' {
		return PhoneShape, "a mobile number has 11 digits and begins with 13 to 19; read it back to the person"
	}
	return "", ""
}
