package receipt

// A hub's epochs form a line. The first has lineage 0; when a hub learns that it
// was put back to an older copy of its database it begins a child, whose lineage
// is above that of every epoch it knows of. Lineages only rise on the way from a
// hub to a device, so nobody can be led around in a circle:
//
//	the device goes by | the hub shows            | Relation | the device            | the hub, told of the device's certificate
//	-------------------|--------------------------|----------|-----------------------|------------------------------------------
//	nothing            | any epoch                | Newer    | enters it             |
//	E                  | E                        | Same     | adds its receipts up  | a claim above what it holds: begins a child of E
//	E                  | a higher lineage         | Newer    | enters it             |
//	E                  | a lower lineage          | Behind   | shows E's certificate | begins a child above E
//	E                  | another of E's lineage   | Behind   | shows E's certificate | begins a child above both
//	E, shown already   | lower, or another equal  | Behind   | settles nothing, says so, tries later |
//
// To enter an epoch is to forget the receipts of the one before and to take
// those of the welcome in their place: what the hub lacks is due again.

// Relation is how an epoch that a hub shows stands to the one a device goes by.
type Relation uint8

// The relations.
const (
	Same   Relation = iota + 1 // the same epoch
	Newer                      // it follows the device's, or is the device's first
	Behind                     // the hub's database is from before the device's epoch, or took another way
)

func (r Relation) String() string { return [...]string{"", "same", "newer", "behind"}[min(r, Behind)] }

// Meets says how an offered certificate stands to c, the one that a device goes
// by; a zero c goes by none. Both signatures must have been checked.
func (c EpochCertificate) Meets(offered EpochCertificate) Relation {
	switch {
	case c.Epoch.IsZero():
		return Newer
	case c.Epoch == offered.Epoch:
		return Same
	case offered.Lineage > c.Lineage:
		return Newer
	default:
		return Behind
	}
}

// Child is the epoch after c and, where the hub was shown one that it does not
// know, above that one too: id must be random and new, minted is Unix
// milliseconds. ok is false when no lineage is left.
func (c EpochCertificate) Child(id Epoch, minted int64, shown EpochCertificate) (child EpochCertificate, ok bool) {
	above := max(c.Lineage, shown.Lineage)
	return EpochCertificate{Epoch: id, Parent: c.Epoch, Lineage: above + 1, Minted: minted}, above+1 > above
}
