package xlsform

import "strings"

// controls writes the controls of a container's nodes.
func (f *form) controls(into *element, n *node) {
	for _, c := range n.children {
		switch {
		case c.what == "group":
			g := el("group", "ref", c.path(), "appearance", c.rec.get("appearance"))
			g.attrs = append(g.attrs, f.bodyAttributes(c)...)
			f.label(g, c)
			f.controls(g, c)
			into.add(g)
		case c.what == "repeat":
			f.repeat(into, c)
		case c.visible():
			into.add(f.control(c))
		}
	}
}

// repeat writes a repeat in the group that carries its label.
func (f *form) repeat(into *element, n *node) {
	g := el("group", "ref", n.path())
	f.label(g, n)
	r := el("repeat", "nodeset", n.path(), "appearance", n.rec.get("appearance"))
	r.attrs = append(r.attrs, f.bodyAttributes(n)...)
	if c := n.rec.get("repeat_count"); c != "" {
		if own := f.counts[n]; own != nil {
			r.set("jr:count", " "+own.path()+" ")
		} else {
			r.set("jr:count", f.expand(c, n, false))
		}
		r.set("jr:noAddRemove", "true()")
	}
	f.controls(r, n)
	f.newRow(r, n)
	into.add(g.add(r))
}

// newRow sets the computed defaults of a new row.
func (f *form) newRow(r *element, n *node) {
	for _, c := range n.children {
		switch c.what {
		case "question":
			r.addElement(f.setDefault(c, "odk-new-repeat"))
		case "group":
			f.newRow(r, c)
		}
	}
	r.addElement(newEntity(n))
}

func (f *form) bodyAttributes(n *node) []attr {
	out := n.rec.attributes("body")
	for i := range out {
		out[i].value = f.expand(out[i].value, n, false)
	}
	return out
}

// control writes one question.
func (f *form) control(n *node) *element {
	k := n.kindOf()
	c := el(k.control, "ref", n.path(), "mediatype", k.media, "appearance", n.rec.get("appearance"), "autoplay", n.rec.get("autoplay"))
	c.attrs = append(c.attrs, f.bodyAttributes(n)...)
	f.controlParams(c, n)
	f.label(c, n)
	f.hint(c, n)
	switch {
	case n.kind == "select_one_external":
		c.set("query", "instance('"+n.list+"')/root/item"+f.filter(n))
	case k.selects:
		c.add(f.itemset(n, n.list))
	case n.params.get("reference-geometry") != "":
		c.add(f.itemset(n, n.params.get("reference-geometry")))
	case n.params.get("tick_labelset") != "":
		c.add(f.itemset(n, n.params.get("tick_labelset")))
	}
	for _, t := range f.triggered[n.name] {
		c.add(f.setOnChange(t))
	}
	return c
}

// controlParams writes the parameters that a control carries.
func (f *form) controlParams(c *element, n *node) {
	if n.kind == "range" {
		c.attrs = append(c.attrs, f.ranges[n].attrs...)
		return
	}
	for _, a := range n.params {
		switch {
		case a.name == "rows" && n.kind == "text":
			c.set("rows", a.value)
		case a.name == "app" && n.kind == "image" && takesApp(n):
			c.set("intent", a.value)
		case a.name == "capture-accuracy":
			c.set("accuracyThreshold", a.value)
		case a.name == "warning-accuracy":
			c.set("unacceptableAccuracyThreshold", a.value)
		case a.name == "incremental" && strings.HasPrefix(n.kind, "geo") && a.value == "true":
			c.set("incremental", "true")
		}
	}
}

// setOnChange is what happens when a trigger's answer changes.
func (f *form) setOnChange(n *node) *element {
	if n.kind == "background-geopoint" {
		return el("odk:setgeopoint", "event", "xforms-value-changed", "ref", n.path())
	}
	return el("setvalue", "event", "xforms-value-changed", "ref", n.path(), "value", f.expand(n.calculation, n, false))
}

// label writes a node's label, here or as a reference to the translations.
func (f *form) label(into *element, n *node) {
	media := n.media()
	if len(n.label) == 0 && len(media) == 0 {
		return
	}
	if !translated(n.label) && len(media) == 0 {
		into.add(el("label").add(f.inline(n.label[0].words, n)...))
		return
	}
	id := n.path() + ":label"
	ref := ""
	if len(n.label) > 0 {
		ref = f.say(id, "", n.label, n)
	}
	for _, m := range media {
		ref = f.say(id, m.form, m.words, n)
	}
	into.add(el("label", "ref", ref))
}

// hint writes a question's hint.
func (f *form) hint(into *element, n *node) {
	switch {
	case len(n.hint) == 0 && len(n.guidance) == 0:
		return
	case len(n.guidance) == 0 && !translated(n.hint):
		into.add(el("hint").add(f.inline(n.hint[0].words, n)...))
		return
	}
	id := n.path() + ":hint"
	ref := ""
	if len(n.hint) > 0 {
		ref = f.say(id, "", n.hint, n)
	}
	if len(n.guidance) > 0 {
		ref = f.say(id, "guidance", n.guidance, n)
	}
	into.add(el("hint", "ref", ref))
}
