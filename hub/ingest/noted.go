package ingest

import (
	"time"

	"otor/hub/store"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/rules"
)

// FixturesKind is the kind of the system entries by which the hub brings in
// reference data. Only the hub itself makes them.
const FixturesKind = "fixtures"

// noted is an applied entry as the pack's rules see it; nil when none looks at it.
func noted(e *store.Entry, pub entry.Public, priv entry.Private, cfg Config) *rules.Record {
	if cfg.Rules == nil || e.Judgement.Verdict != store.Applied || pub.System != "" || !cfg.Rules(e.Form, e.FormVersion).Looks(e.Form) {
		return nil
	}
	f, err := cfg.Forms.Form(e.Form, e.FormVersion)
	if err != nil {
		return nil
	}
	r := &rules.Record{
		Form: e.Form, Type: e.EntityType, Entity: e.Entity, Device: string(e.Dot.Device), Actor: e.Actor,
		Time: time.UnixMilli(e.CorrectedTime).In(cfg.Zone), Answers: priv.Fields,
	}
	r.Asked = names(f.Fields)
	for i := range f.Fields {
		if x := &f.Fields[i]; x.Kind == form.Repeat {
			if r.AskedOf == nil {
				r.AskedOf = make(map[string][]string)
			}
			r.AskedOf[x.Name] = names(x.Fields)
		}
	}
	if p := pub.Position; p != nil {
		const micro = 1e6
		r.Place = &rules.Place{Lon: float64(p.Lon) / micro, Lat: float64(p.Lat) / micro}
	}
	return r
}

// Noted is an entry of the ledger as the pack's rules see it; nil when none looks at it, or
// it took no effect.
func Noted(e store.Entry, cfg Config) *rules.Record {
	pub, err := entry.DecodePublic(e.Raw.Public)
	if err != nil || e.Raw.Erased() {
		return nil
	}
	priv, err := entry.DecodePrivate(e.Raw.Private)
	if err != nil {
		return nil
	}
	switch e.Judgement.Verdict {
	case store.Held, store.Quarantined, store.Refused:
		return nil
	default:
		e.Judgement.Verdict = store.Applied // what else it is does not matter to rules
	}
	return noted(&e, pub, priv, cfg)
}

func names(fields []form.Field) []string {
	out := make([]string, len(fields))
	for i := range fields {
		out[i] = fields[i].Name
	}
	return out
}
