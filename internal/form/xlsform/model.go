package xlsform

import "strings"

// instance writes a container with empty answers. template marks the rows
// that new rows of a repeat are made of.
func (f *form) instance(n *node, template bool) *element {
	e := el(n.name)
	for _, c := range n.children {
		switch {
		case c.external() || c.kind == "audit":
		case c.what == "repeat":
			if template || !f.inTemplate(n) {
				e.add(f.instance(c, true).set("jr:template", ""))
			}
			if !template {
				e.add(f.instance(c, false))
			}
		case c.what == "group":
			e.add(f.instance(c, template))
		default:
			e.add(f.answer(c))
		}
	}
	return e.addElement(f.meta(n))
}

// inTemplate reports whether a container is in a repeat, whose template holds
// the templates of the repeats below it.
func (f *form) inTemplate(n *node) bool {
	return n.what == "repeat" || n.repeatOf().what == "repeat"
}

func (e *element) addElement(c *element) *element {
	if c != nil {
		e.kids = append(e.kids, c)
	}
	return e
}

// answer is one question's element with its fixed default.
func (f *form) answer(n *node) *element {
	e := el(n.name)
	e.attrs = append(e.attrs, n.rec.attributes("instance")...)
	d := n.rec.get("default")
	if d == "" || dynamic(d, n.kind) {
		return e
	}
	if n.kind == "image" && !strings.HasPrefix(d, "jr://") {
		d = "jr://images/" + d
	}
	return e.add(d)
}

// binds writes a bind for each node that needs one.
func (f *form) binds(model *element) {
	f.root.walk(func(n *node) {
		if n.external() {
			return
		}
		if n.what == "question" {
			model.add(f.bind(n))
			if n.kind == "start-geopoint" {
				model.add(el("odk:setgeopoint", "event", "odk-instance-first-load", "ref", n.path()))
			}
			if n.kind == "background-audio" {
				model.add(el("odk:recordaudio", "event", "odk-instance-load", "ref", n.path(), "odk:quality", n.params.get("quality")))
			}
			f.firstLoad(model, n)
			return
		}
		b := el("bind", "nodeset", n.path())
		f.conditions(b, n)
		if len(b.attrs) > 1 {
			model.add(b)
		}
		if n.entity != nil {
			f.metaBinds(model, n)
		}
	})
	f.metaBinds(model, f.root)
}

// bind writes a question's type and conditions.
func (f *form) bind(n *node) *element {
	k := n.kindOf()
	at := n.path()
	if n.kind == "audit" {
		at = f.root.path() + "/meta/audit"
	}
	b := el("bind", "nodeset", at, "type", k.bind, "jr:preload", k.preload, "jr:preloadParams", k.param)
	if n.kind == "range" {
		b.set("type", f.ranges[n].bind)
	}
	if n.kind == "note" {
		b.set("readonly", "true()")
	}
	if n.generated && n.kind == "calculate" {
		b.set("readonly", "true()")
	}
	f.conditions(b, n)
	if n.calculation != "" && n.triggers() == "" {
		b.set("calculate", f.expand(n.calculation, n, false))
	}
	f.messages(b, n)
	if n.saveTo != "" {
		b.set("entities:saveto", n.saveTo)
	}
	for _, a := range n.params {
		switch {
		case n.kind == "image" && a.name == "max-pixels":
			b.set("orx:max-pixels", a.value)
		case n.kind == "audio" && a.name == "quality":
			b.set("odk:quality", a.value)
		case strings.HasPrefix(n.kind, "geo") && a.name == "allow-mock-accuracy":
			b.set("odk:allow-mock-accuracy", a.value)
		case n.kind == "audit":
			b.set("odk:"+a.name, a.value)
		}
	}
	return b
}

// conditions writes when a node is asked, needed, and right.
func (f *form) conditions(b *element, n *node) {
	for _, c := range []struct{ col, attr string }{{"readonly", "readonly"}, {"required", "required"}, {"constraint", "constraint"}} {
		if v := n.rec.get(c.col); v != "" {
			b.set(c.attr, f.expand(conditional(v), n, false))
		}
	}
	if n.relevant != "" {
		b.set("relevant", f.expand(conditional(n.relevant), n, false))
	}
	for _, a := range n.rec.attributes("bind") {
		b.set(a.name, f.expand(conditional(a.value), n, false))
	}
}

// messages writes the words for a wrong or a missing answer.
func (f *form) messages(b *element, n *node) {
	for _, m := range []struct{ col, attr string }{
		{"constraint_message", "jr:constraintMsg"}, {"required_message", "jr:requiredMsg"}, {"no_app_error_string", "jr:noAppErrorString"},
	} {
		w := n.rec.words(m.col)
		switch {
		case len(w) == 0:
		case translated(w) || strings.Contains(w[0].words, "${"):
			b.set(m.attr, f.say(n.path()+":"+m.attr, "", w, n))
		default:
			b.set(m.attr, w[0].words)
		}
	}
}

// firstLoad sets a computed default when the form is opened first.
func (f *form) firstLoad(model *element, n *node) {
	if s := f.setDefault(n, "odk-instance-first-load"); s != nil {
		model.add(s)
	}
}

func (f *form) setDefault(n *node, event string) *element {
	d := n.rec.get("default")
	if d == "" || !dynamic(d, n.kind) {
		return nil
	}
	return el("setvalue", "event", event, "ref", n.path(), "value", f.expand(d, n, false))
}
