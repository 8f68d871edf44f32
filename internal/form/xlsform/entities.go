package xlsform

import (
	"cmp"
	"slices"
	"strings"
)

const entitiesSheet = "entities"

// entity is one row of the entities sheet: what a submission makes or changes.
type entity struct {
	row                           int
	list                          string
	label, id, createIf, updateIf string
	refs                          []entityRef
	home                          *node // the container in whose meta block it stands
}

// entityRef is a question that an entity needs, and how it came to.
type entityRef struct {
	node     *node
	variable bool // by a ${name} of the entities sheet, not by save_to
}

// version of the entities specification: repeats and several lists came later.
func (f *form) entitiesVersion() string {
	switch {
	case len(f.entities) == 0:
		return ""
	case len(f.entities) > 1 || f.entities[0].home != f.root:
		return "2025.1.0"
	default:
		return "2024.1.0"
	}
}

func (e *entity) creates() bool { return e.id == "" || e.createIf != "" }
func (e *entity) updates() bool { return e.id != "" }

// entitySheet reads the entities sheet.
func (f *form) entitySheet(t *table) {
	if t == nil || len(t.rows) == 0 {
		return
	}
	var unknown []string
	for _, c := range t.cols {
		if c.base != "" && !slices.Contains([]string{"list_name", "label", "entity_id", "create_if", "update_if", "repeat"}, c.base) {
			unknown = append(unknown, c.head)
		}
	}
	if len(unknown) > 0 {
		f.add(&Fault{Sheet: entitiesSheet, Row: 1, Words: "one or more column names are invalid. The following column(s) are not supported here: " +
			quoted(unknown) + ". Please either: check the spelling of the column names, or remove the columns."})
	}
	for _, r := range t.rows {
		e := &entity{row: r.row, list: r.get("list_name"), id: r.get("entity_id"), createIf: r.get("create_if"), updateIf: r.get("update_if")}
		if w := r.words("label"); len(w) > 0 {
			e.label = w[0].words
		}
		f.checkEntity(e)
		f.entities = append(f.entities, e)
	}
}

// checkEntity reports what a declaration lacks.
func (f *form) checkEntity(e *entity) {
	switch {
	case e.list == "":
		f.at(entitiesSheet, e.row, "list_name", "Entity lists must have a name.")
	case strings.HasPrefix(e.list, "__"):
		f.at(entitiesSheet, e.row, "dataset", "Names used here must not begin with two underscores.")
	case strings.Contains(e.list, "."):
		f.at(entitiesSheet, e.row, "dataset", "Names used here must not contain a period.")
	case !elementName.MatchString(e.list):
		f.at(entitiesSheet, e.row, "dataset", "%s", nameRule)
	}
	bad := func(words string) {
		f.add(&Fault{Sheet: entitiesSheet, Row: e.row, Words: "the entity declaration is invalid. The entity list name '" + clip(e.list) + "' " + words})
	}
	switch {
	case e.id == "" && e.updateIf != "":
		bad("does not have an 'entity_id' expression, but an 'entity_id' is required when updating entities. Updating entities is indicated by using 'entity_id' and/or 'update_if' expressions. Please either: add an 'entity_id' for this entity declaration, or to only create entities instead move the 'update_if' to 'create_if'.")
	case e.id != "" && e.createIf != "" && e.updateIf == "":
		bad("does not have an 'update_if' expression, but an 'update_if' is required when upserting entities. Upserting entities is indicated by using 'create_if' and 'entity_id' expressions. Please either: add an 'update_if' for this entity declaration, or to only create entities instead remove the 'entity_id' expression.")
	case e.creates() && e.label == "" && e.id == "":
		bad("does not have a label, but a 'label' is required when creating entities. Creating entities is indicated by using a 'create_if' expression, or by not using 'entity_id' expression. Please either: add a 'label' for this entity declaration, or to update entities instead provide an 'entity_id' (and optionally 'update_if') expression.")
	}
	for _, c := range []struct{ col, expr string }{{"label", e.label}, {"entity_id", e.id}, {"create_if", e.createIf}, {"update_if", e.updateIf}} {
		f.checkRefs(entitiesSheet, e.row, c.col, c.expr)
	}
}

// saveTos reads the save_to column and gives each question to its entity.
func (f *form) saveTos() {
	byList := map[string]*entity{}
	for _, e := range f.entities {
		byList[e.list] = e
	}
	f.root.walk(func(n *node) {
		if n.saveTo == "" {
			return
		}
		bad := func(format string, args ...any) { f.at(surveySheet, n.row, "save_to", format, args...) }
		list, prop, prefixed := strings.Cut(n.saveTo, "#")
		switch {
		case len(f.entities) == 0:
			bad("To save entity properties using the save_to column, add an entities sheet and declare an entity.")
			return
		case strings.Count(n.saveTo, "#") > 1:
			bad("A 'save_to' value must have at most one '#' delimiter character. Please check the spelling of this 'save_to' value.")
			return
		case !prefixed && len(f.entities) > 1:
			bad("When there is more than one entity declaration, 'save_to' names must be prefixed with the entity 'list_name' that the property belongs to. Please either: add the entity 'list_name' prefix separated with a '#' e.g. my_list#my_save_to (where 'my_list' is the entity 'list_name', and 'my_save_to' is the 'save_to' property name), or remove all but one entity declarations.")
			return
		case !prefixed:
			list, prop = f.entities[0].list, n.saveTo
		}
		e := byList[list]
		switch {
		case e == nil:
			bad("The entity list name '%s' was not found on the 'entities' sheet. Please either: check the spelling of the list name in the 'save_to', or add an entity list with this name.", clip(list))
			return
		case strings.EqualFold(prop, "name") || strings.EqualFold(prop, "label"):
			bad("The property name '%s' is reserved: choose another.", clip(prop))
		case strings.HasPrefix(prop, "__"):
			bad("Names used here must not begin with two underscores.")
		case !elementName.MatchString(prop):
			bad("%s", nameRule)
		}
		n.saveTo, n.saveList = prop, list
		e.refs = append(e.refs, entityRef{node: n})
	})
	for _, e := range f.entities {
		for _, expr := range []string{e.label, e.id, e.createIf, e.updateIf} {
			for _, m := range anyRef.FindAllStringSubmatch(expr, -1) {
				if n := f.ref(m[2]); n != nil {
					e.refs = append(e.refs, entityRef{n, true})
				}
			}
		}
	}
}

// allocate finds each entity's home. What it needs must lie in one line of
// repeats; a container holds one entity at most.
func (f *form) allocate() {
	f.saveTos()
	type wish struct {
		e           *entity
		scope, deep *node
	}
	var wishes []wish
	for _, e := range f.entities {
		if scope := f.scopeOf(e); scope != nil {
			wishes = append(wishes, wish{e, scope, common(e, scope)})
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int {
		return cmp.Or(cmp.Compare(len(a.deep.above()), len(b.deep.above())), cmp.Compare(a.e.row, b.e.row))
	})
	for _, w := range wishes {
		if w.e.home = free(w.scope, w.deep); w.e.home != nil {
			w.e.home.entity = w.e
			continue
		}
		f.add(&Fault{Sheet: entitiesSheet, Row: w.e.row, Words: "the entity declaration is invalid. Each container (survey, group, repeat) may have only one entity declaration, but there are no valid containers available in the scope: '" +
			w.scope.scope() + "', which has been allocated to the entity on row '" + itoa(w.scope.entity.row) + "'. Please either: check which entities are referred to from the 'survey' sheet in the 'save_to' column, or check which questions are being referred to from the 'entities' sheet with variable references (such as in the 'label')."})
	}
}

// scopeOf is the innermost repeat that the entity's questions are in. nil:
// they are in repeats beside one another, which is reported.
func (f *form) scopeOf(e *entity) *node {
	scope := f.root
	for _, r := range e.refs {
		if s := r.node.repeatOf(); len(s.above()) > len(scope.above()) {
			scope = s
		}
	}
	for _, r := range e.refs {
		s := r.node.repeatOf()
		if scope.inside(s) {
			continue
		}
		start := "The entity list name '" + clip(e.list) + "' has a reference in container scope '" + scope.scope() + "' which is not compatible with "
		const end = " or copy either value into the desired container scope with a 'calculate' question then use that 'calculate' for the 'save_to'."
		if r.variable {
			f.add(&Fault{Sheet: entitiesSheet, Row: e.row, Words: "the entity declaration is invalid. " + start + "the variable reference to '" + r.node.name + "' in scope '" +
				s.scope() + "'. Please either: check the spelling of the variable references," + end})
		} else {
			f.at(surveySheet, r.node.row, "save_to", "%s", start+"this 'save_to' reference in scope '"+s.scope()+
				"'. Please either: check the spelling of the list name in the 'save_to',"+end)
		}
		return nil
	}
	return scope
}

// common is the innermost container of those questions that lie in the scope
// itself.
func common(e *entity, scope *node) *node {
	var deep *node
	for _, r := range e.refs {
		switch {
		case r.node.repeatOf() != scope:
		case deep == nil:
			deep = r.node.parent
		default:
			for !r.node.inside(deep) {
				deep = deep.parent
			}
		}
	}
	if deep == nil {
		return scope
	}
	return deep
}

// free is the scope itself, or else the innermost container without an entity.
func free(scope, deep *node) *node {
	if scope.entity == nil {
		return scope
	}
	for c := deep; c != nil && c != scope.parent; c = c.parent {
		if c.entity == nil {
			return c
		}
	}
	return nil
}
