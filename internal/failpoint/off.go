//go:build !otorcontrol

package failpoint

// At passes a place.
func At(Point) {}
