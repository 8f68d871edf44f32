package entry

// The general decoders, for comparison with the plain ones.
var (
	DecodePublicGenerally  = decodePublic
	DecodePrivateGenerally = decodePrivate
)

// PlainPublic and PlainPrivate report whether the plain reading takes a part.
func PlainPublic(b []byte) bool {
	p := newPlain(b)
	return p.public(&wirePublic{})
}

func PlainPrivate(b []byte) bool {
	p := newPlain(b)
	return p.private(&wirePrivate{})
}

// EncodeGenerally is Raw.Encode by the general encoder.
func EncodeGenerally(r Raw) []byte {
	var v any = rawFull{Public: r.Public, Private: r.Private}
	if r.Erased() {
		v = rawErased{Public: r.Public, Hash: r.PrivateHash}
	}
	return must(encMode.Marshal(v))
}

// EncodePublicGenerally is Public.Encode by the general encoder.
func EncodePublicGenerally(p Public) []byte { return must(encMode.Marshal(p.wire())) }
