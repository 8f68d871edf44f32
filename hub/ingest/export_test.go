package ingest

// Narrow bounds what one transaction releases.
func (g *Ingest) Narrow(entries, bytes int) { g.room = room{entries, bytes} }
