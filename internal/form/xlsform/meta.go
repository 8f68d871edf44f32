package xlsform

import "strconv"

func itoa(n int) string { return strconv.Itoa(n) }

// meta writes the meta block of a container: the form's own facts and the
// entity that lives there. nil: there is none.
func (f *form) meta(n *node) *element {
	m := el("meta")
	if n == f.root {
		f.root.walk(func(c *node) {
			if c.kind == "audit" {
				m.add(el("audit"))
			}
		})
		if !f.set.omitInstanceID {
			m.add(el("instanceID"))
		}
		if f.set.instanceName != "" {
			m.add(el("instanceName"))
		}
	}
	if e := n.entity; e != nil {
		x := el("entity", "dataset", e.list).set("id", "")
		if e.creates() {
			x.set("create", "1")
		}
		if e.updates() {
			x.set("update", "1").set("baseVersion", "").set("branchId", "").set("trunkVersion", "")
		}
		if e.label != "" {
			x.add(el("label"))
		}
		m.add(x)
	}
	if len(m.kids) == 0 {
		return nil
	}
	return m
}

// metaBinds writes the binds of a container's meta block.
func (f *form) metaBinds(model *element, n *node) {
	at := n.path() + "/meta"
	if n == f.root {
		if !f.set.omitInstanceID {
			id := el("bind", "nodeset", at+"/instanceID", "type", "string", "readonly", "true()", "jr:preload", "uid")
			if f.set.instanceID != "" {
				id = el("bind", "nodeset", at+"/instanceID", "type", "string", "readonly", "true()", "calculate", f.expand(f.set.instanceID, nil, false))
			}
			model.add(id)
		}
		if f.set.instanceName != "" {
			model.add(el("bind", "nodeset", at+"/instanceName", "type", "string", "calculate", f.expand(f.set.instanceName, nil, false)))
		}
	}
	if n.entity != nil {
		f.entityBinds(model, n)
	}
}

// entityBinds writes what makes and changes an entity.
func (f *form) entityBinds(model *element, home *node) {
	e := home.entity
	at := home.path() + "/meta/entity"
	// Expressions stand at children of the entity; paths are seen from there.
	seat := &node{what: "question", name: "label", parent: &node{what: "group", name: "entity", parent: &node{what: "group", name: "meta", parent: home}}}
	bind := func(node, calculate string) {
		model.add(el("bind", "nodeset", at+node, "type", "string", "readonly", "true()", "calculate", calculate))
	}
	if e.createIf != "" {
		bind("/@create", f.expand(e.createIf, seat, false))
	}
	if e.updates() {
		id := f.expand(e.id, seat, false)
		bind("/@id", id)
		if e.updateIf != "" {
			bind("/@update", f.expand(e.updateIf, seat, false))
		}
		item := "instance('" + e.list + "')/root/item[name=" + f.expand(e.id, seat, true) + "]/"
		bind("/@baseVersion", item+"__version")
		bind("/@trunkVersion", item+"__trunkVersion")
		bind("/@branchId", item+"__branchId")
	} else {
		bind("/@id", "")
		first := el("setvalue", "event", "odk-instance-first-load", "ref", at+"/@id", "value", "uuid()")
		model.add(first)
	}
	if e.label != "" {
		bind("/label", f.expand(e.label, seat, false))
	}
}

// newEntity is what a new row of a repeat sets, for the entity in it.
func newEntity(home *node) *element {
	if home.entity == nil || home.entity.updates() {
		return nil
	}
	return el("setvalue", "event", "odk-new-repeat", "ref", home.path()+"/meta/entity/@id", "value", "uuid()")
}
