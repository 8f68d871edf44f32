package corpus

import (
	"otor/internal/entry"
)

// Refs names the entity that the record is about, if it names one.
func (r Record) Refs() []entry.Ref {
	if r.Entity == "" || r.Form.Entity == "" {
		return nil
	}
	return []entry.Ref{{Type: r.Form.Entity, ID: r.Entity}}
}

// Draft is the record as a capture hands it to a store, and with its context,
// which stands in the public part. Zone is that of Wall.
func (r Record) Draft(salt [entry.SaltSize]byte) (entry.Draft, error) {
	private, err := entry.Private{Salt: salt, Fields: r.Fields}.Encode()
	if err != nil {
		return entry.Draft{}, err
	}
	_, zone := r.Wall.Zone()
	offset := r.Offset
	pub := entry.Public{
		Wall: r.Wall.UnixMilli(), Zone: zone / 60, Offset: &offset, Actor: r.Actor,
		Form: entry.FormRef{ID: r.Form.ID, Version: r.Form.Version}, Refs: r.Refs(), Position: r.Position,
	}
	if r.Context != nil {
		pub.Contexts = append(pub.Contexts, r.Context)
	}
	return entry.Draft{Lane: r.Form.Lane, Public: pub, Private: private}, nil
}
