package console

import (
	"strconv"

	"otor/internal/pack"
	"otor/internal/webui"
)

// Amount is a number with its unit, with at most so many digits after the point. A share
// is told in percent.
func Amount(w *webui.Words, unit string, v float64, digits int) string {
	switch unit {
	case "":
		return w.Decimal(v, digits)
	case pack.UnitShare:
		return w.T("amount.share", "n", percent(v))
	}
	return w.T("amount.of", "n", w.Decimal(v, digits), "unit", UnitWords(w, unit))
}

// Changed says by how much a number became another one.
func Changed(w *webui.Words, unit string, by float64, digits int) string {
	key := "amount.more"
	if by < 0 {
		key, by = "amount.less", -by
	}
	if unit == pack.UnitShare {
		return w.T(key, "by", w.T("amount.points", "n", percent(by)))
	}
	return w.T(key, "by", Amount(w, unit, by, digits))
}

// percent is a share in percent, to one decimal.
func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) }

// UnitWords is a unit in words; "" for none.
func UnitWords(w *webui.Words, unit string) string {
	if key := "unit." + unit; unit != "" && w.Has(key) {
		return w.T(key)
	}
	return unit
}
