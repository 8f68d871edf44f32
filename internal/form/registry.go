package form

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Registry holds forms by id and version. It is not changed once made, and
// safe for concurrent use. A nil registry holds none.
type Registry struct {
	forms map[string][]*Form // by id, ascending versions, never empty
}

// NewRegistry collects forms. It refuses two of the same id and version.
func NewRegistry(forms ...*Form) (*Registry, error) {
	r := &Registry{forms: make(map[string][]*Form)}
	for _, f := range forms {
		if at, ok := r.find(f.ID, f.Version); ok {
			return nil, fmt.Errorf("form %s: stands twice", r.forms[f.ID][at])
		}
		r.put(f)
	}
	return r, nil
}

func (r *Registry) find(id string, version uint32) (int, bool) {
	return slices.BinarySearchFunc(r.forms[id], version, func(f *Form, v uint32) int {
		return cmp.Compare(f.Version, v)
	})
}

func (r *Registry) put(f *Form) {
	at, ok := r.find(f.ID, f.Version)
	versions := slices.Clone(r.forms[f.ID])
	if ok {
		versions[at] = f
	} else {
		versions = slices.Insert(versions, at, f)
	}
	r.forms[f.ID] = versions
}

// With returns a copy that also holds f, in place of the same id and version.
func (r *Registry) With(f *Form) *Registry {
	out := &Registry{forms: make(map[string][]*Form)}
	if r != nil {
		maps.Copy(out.forms, r.forms)
	}
	out.put(f)
	return out
}

// Form returns a version of a form. Its error is a [*LookupError].
func (r *Registry) Form(id string, version uint32) (*Form, error) {
	newest, ok := r.Latest(id)
	if !ok {
		return nil, &LookupError{Code: FormUnknown, ID: id, Version: version}
	}
	if newest.Version == version {
		return newest, nil
	}
	if version > newest.Version {
		return nil, &LookupError{Code: FormNewer, ID: id, Version: version, Newest: newest.Version}
	}
	if at, ok := r.find(id, version); ok {
		return r.forms[id][at], nil
	}
	return nil, &LookupError{Code: FormOld, ID: id, Version: version, Newest: newest.Version}
}

// Latest returns the newest version of a form.
func (r *Registry) Latest(id string) (*Form, bool) {
	if r == nil {
		return nil, false
	}
	versions := r.forms[id]
	if len(versions) == 0 {
		return nil, false
	}
	return versions[len(versions)-1], true
}

// All lists every version of every form, by id and version.
func (r *Registry) All() []*Form {
	if r == nil {
		return nil
	}
	var out []*Form
	for _, id := range slices.Sorted(maps.Keys(r.forms)) {
		out = append(out, r.forms[id]...)
	}
	return out
}

// IDs lists the ids of the forms in order.
func (r *Registry) IDs() []string {
	if r == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(r.forms))
}

// LookupError says why a registry does not hold a form: it is unknown, newer
// than any known version, or an older one that is not kept.
type LookupError struct {
	Code    Code // FormUnknown, FormNewer or FormOld
	ID      string
	Version uint32
	Newest  uint32 // the newest known version; 0 when the form is unknown
}

func (e *LookupError) Error() string {
	id := clip(e.ID)
	switch e.Code {
	case FormNewer:
		return fmt.Sprintf("form %s version %d: the newest version known here is %d; fetch the newer form pack", id, e.Version, e.Newest)
	case FormOld:
		return fmt.Sprintf("form %s version %d: is no longer kept here; use version %d", id, e.Version, e.Newest)
	default:
		return fmt.Sprintf("form %q: no such form in the form pack; check the spelling", id)
	}
}
