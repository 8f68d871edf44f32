package rules

import "math"

// Metres is the great-circle distance between two places in degrees, on a sphere
// of 6,371,008.8 m (the mean radius of GRS 80; IUGG).
func Metres(lon1, lat1, lon2, lat2 float64) float64 {
	const radius, rad = 6371008.8, math.Pi / 180
	a := math.Sin((lat2 - lat1) * rad / 2)
	b := math.Sin((lon2 - lon1) * rad / 2)
	h := a*a + math.Cos(lat1*rad)*math.Cos(lat2*rad)*b*b
	return 2 * radius * math.Asin(math.Min(1, math.Sqrt(h)))
}

// GCJ02 is where maps sold in China draw the WGS84 place lon, lat (degrees): the
// obfuscation known as GCJ-02, by the published approximation that map programs
// use (eviltransform; Krasovsky 1940 ellipsoid). It serves to recognise such
// coordinates. Nothing is ever converted silently.
func GCJ02(lon, lat float64) (gcjLon, gcjLat float64) {
	const axis, ecc = 6378245.0, 0.00669342162296594323
	x, y := lon-105, lat-35
	dLat := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) + waves(x, y, 160, 320)
	dLon := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) + (20*math.Sin(6*x*math.Pi)+20*math.Sin(2*x*math.Pi)+
		20*math.Sin(x*math.Pi)+40*math.Sin(x/3*math.Pi)+150*math.Sin(x/12*math.Pi)+300*math.Sin(x/30*math.Pi))*2/3
	rad := lat * math.Pi / 180
	magic := 1 - ecc*math.Sin(rad)*math.Sin(rad)
	root := math.Sqrt(magic)
	dLat = dLat * 180 / (axis * (1 - ecc) / (magic * root) * math.Pi)
	dLon = dLon * 180 / (axis / root * math.Cos(rad) * math.Pi)
	return lon + dLon, lat + dLat
}

// waves is the periodic part of the latitude's shift.
func waves(x, y, near, far float64) float64 {
	return (20*math.Sin(6*x*math.Pi) + 20*math.Sin(2*x*math.Pi) + 20*math.Sin(y*math.Pi) + 40*math.Sin(y/3*math.Pi) +
		near*math.Sin(y/12*math.Pi) + far*math.Sin(y*math.Pi/30)) * 2 / 3
}
