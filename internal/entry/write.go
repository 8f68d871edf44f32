package entry

// append writes the usual members as deterministic CBOR (RFC 8949, section
// 4.2.1) without reflection. ok is false when the part has a rare member: the
// general encoder then writes it. Both write the same bytes.
func (w *wirePublic) append(b []byte) (_ []byte, ok bool) {
	if w.System != "" || len(w.Blobs) > 0 || w.Origin != nil || w.Was != nil || w.Corrects != nil {
		return nil, false
	}
	start := len(b)
	b = append(b, majorMap<<5) // with the number of pairs, below 24, added at the end
	member := func(key byte) []byte { b[start]++; return append(b, key) }
	b = appendText(member(1), w.Device)
	b = appendHead(member(2), majorUint, uint64(w.Incarnation))
	b = appendHead(member(3), majorUint, uint64(w.Lane))
	b = appendHead(member(4), majorUint, uint64(w.Seq))
	b = appendInt(member(5), w.Wall)
	if w.Ahead != 0 {
		b = appendInt(member(6), w.Ahead)
	}
	if w.Counter != 0 {
		b = appendHead(member(7), majorUint, uint64(w.Counter))
	}
	if w.Zone != 0 {
		b = appendInt(member(8), int64(w.Zone))
	}
	if w.Offset != nil {
		b = appendInt(append(member(9), majorArray<<5|2), w.Offset.Millis)
		b = appendHead(b, majorUint, uint64(w.Offset.Age))
	}
	if w.Actor != "" {
		b = appendText(member(10), w.Actor)
	}
	if w.Form != nil {
		b = appendText(append(member(11), majorArray<<5|2), w.Form.ID)
		b = appendHead(b, majorUint, uint64(w.Form.Version))
	}
	if len(w.Refs) > 0 {
		b = appendHead(member(13), majorArray, uint64(len(w.Refs)))
		for _, r := range w.Refs {
			b = appendText(appendText(append(b, majorArray<<5|2), r.Type), r.ID)
		}
	}
	if len(w.Contexts) > 0 {
		b = appendContexts(member(14), w.Contexts)
	}
	if w.Position != nil {
		b = w.Position.append(member(16))
	}
	return b, true
}

func appendContexts(b []byte, contexts [][]wireDot) []byte {
	b = appendHead(b, majorArray, uint64(len(contexts)))
	for _, dots := range contexts {
		b = appendHead(b, majorArray, uint64(len(dots)))
		for _, d := range dots {
			b = appendText(append(b, majorArray<<5|4), d.Device)
			b = appendHead(b, majorUint, uint64(d.Incarnation))
			b = appendHead(b, majorUint, uint64(d.Lane))
			b = appendHead(b, majorUint, uint64(d.Seq))
		}
	}
	return b
}

func (p *Position) append(b []byte) []byte {
	start := len(b)
	b = append(b, majorMap<<5)
	member := func(key byte) []byte { b[start]++; return append(b, key) }
	b = appendInt(member(1), int64(p.Lon))
	b = appendInt(member(2), int64(p.Lat))
	if p.Accuracy != 0 {
		b = appendHead(member(3), majorUint, uint64(p.Accuracy))
	}
	b = appendHead(member(4), majorUint, uint64(p.Source))
	if p.Age != 0 {
		b = appendHead(member(5), majorUint, uint64(p.Age))
	}
	if p.Altitude != nil {
		b = appendInt(member(6), int64(*p.Altitude))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendHead(b, majorNegint, uint64(-1-n))
	}
	return appendHead(b, majorUint, uint64(n))
}
