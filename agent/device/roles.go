package device

import (
	"context"
	"fmt"

	"otor/agent/web"
	"otor/internal/form"
)

// user is who captures: the one that is given, else the one chosen on the page.
func (d *Device) user(given string) string {
	if given != "" {
		return given
	}
	return d.store.Preferences().User
}

// judged says what a user may not answer of a form: a *web.Refusal for an answer
// that only others may give, warn where nobody here can tell.
func (d *Device) judged(ctx context.Context, f *form.Form, fields map[string]any, user string) (warn *web.Finding, err error) {
	// Most records answer no question of a role: who holds one is looked up, over all
	// that the device knows, for those alone that do.
	every := func(string) bool { return true }
	if name, _ := reserved(f.Fields, fields, every); name == "" {
		return nil, nil
	}
	denied, unknown, err := d.denied(ctx, user)
	if err != nil {
		return nil, err
	}
	name, role := reserved(f.Fields, fields, denied)
	if name != "" {
		return nil, &web.Refusal{
			Code: "role_missing", What: fmt.Sprintf("only a %s may answer this question", role), Which: name,
			Do: "leave it empty, or choose on the settings page who uses this phone",
		}
	}
	if !unknown {
		return nil, nil
	}
	if name, role = reserved(f.Fields, fields, every); name != "" {
		return &web.Finding{
			Code: "role_unknown", What: fmt.Sprintf("whether %q is a %s is not known on this device", user, role), Which: name,
			Do: "it is saved as it is; the office can tell",
		}, nil
	}
	return nil, nil
}

// denied says which roles a user does not hold. unknown: the device knows of
// nobody's role, so nothing is denied.
func (d *Device) denied(ctx context.Context, user string) (denied func(role string) bool, unknown bool, err error) {
	nothing := func(string) bool { return false }
	p := d.inForce()
	if p == nil || p.Pages == nil || p.Pages.Users == nil {
		return nothing, true, nil
	}
	b, err := d.Book(ctx)
	if err != nil {
		return nil, false, err
	}
	u := p.Pages.Users
	if len(b.IDs(u.Type)) == 0 {
		return nothing, true, nil
	}
	who, _ := b.Thing(u.Type, user)
	has, _ := who.Fields[u.Role].(string)
	return func(role string) bool {
		for _, ok := range u.May[role] {
			if ok == has && has != "" {
				return false
			}
		}
		return true
	}, false, nil
}

// reserved finds the first answer to a question of a role that is denied.
func reserved(asked []form.Field, fields map[string]any, denied func(role string) bool) (name, role string) {
	for _, x := range asked {
		v, ok := fields[x.Name]
		if !ok || v == nil || v == "" {
			continue
		}
		if x.Role != "" && denied(x.Role) {
			return x.Name, x.Role
		}
		rows, _ := v.([]any)
		if one, ok := v.(map[string]any); ok {
			rows = []any{one}
		}
		for _, row := range rows {
			if m, ok := row.(map[string]any); ok && x.Kind.Nests() {
				if n, r := reserved(x.Fields, m, denied); n != "" {
					return x.Name + "." + n, r
				}
			}
		}
	}
	return "", ""
}
