// Package failpoint names places in the programs at which a crash test wants
// them to die: between two things that belong together.
//
// In an ordinary build [At] does nothing. In one with the tag otorcontrol the
// environment says where to die, as OTOR_DIE=committed:3, at the third time that
// this place is passed; the process then kills itself as kill -9 does. Where it died
// it leaves in the file that OTOR_DIED names: a test that only knows that a process
// ended does not know that it met the place.
package failpoint

// Point is a place.
type Point string

// The places.
const (
	Planned    Point = "planned"    // agent: the transaction is made, nothing is written
	Committed  Point = "committed"  // agent: it is on the disk, and nobody was told
	Noted      Point = "noted"      // agent: the tail beside the database is written as well
	Living     Point = "living"     // agent: a new life is written down, and not begun
	Moving     Point = "moving"     // agent: entries are about to get their new names
	Moved      Point = "moved"      // agent: some have them, the others not yet
	Journalled Point = "journalled" // hub: a fact is in the journal, the database has not committed it
	Recorded   Point = "recorded"   // hub: both have it, and nobody was told
	Ingested   Point = "ingested"   // hub: frames are committed, no receipt was sent
	Announced  Point = "announced"  // hub: receipts are sent, the stream still has the frames
	Greeted    Point = "greeted"    // hub: a hello is noted and not answered
)

// Rehoming lists the places that an agent passes while it goes on in another life.
func Rehoming() []Point { return []Point{Living, Moving, Moved} }

// Points lists the places of a program that it passes in its daily work.
func Points(program string) []Point {
	if program == "hub" {
		return []Point{Ingested, Announced, Greeted, Journalled, Recorded}
	}
	return []Point{Planned, Committed, Noted}
}
