// Known answers are put into a form as if somebody had given them.

// fill sets the questions of a level from fields: {name: value}, groups and
// rows nested, as the agent keeps them.
export function fill(node, fields, questions, path = '') {
	for (const child of node.currentState.children ?? []) {
		const name = child.definition.nodeset.split('/').pop();
		if (!(name in fields)) {
			continue;
		}
		const at = path ? `${path}/${name}` : name;
		const value = fields[name];
		if (child.nodeType === 'group') {
			fill(child, value, questions, at);
		} else if (child.nodeType === 'repeat-range:uncontrolled') {
			const rows = Array.isArray(value) ? value : [];
			const there = child.currentState.children.length;
			if (there > rows.length) {
				child.removeInstances(rows.length, there - rows.length);
			} else if (rows.length > there) {
				child.addInstances(there - 1, rows.length - there);
			}
			rows.forEach((row, i) => fill(child.currentState.children[i], row, questions, at));
		} else {
			set(child, value, questions[at]);
		}
	}
}

// set gives one question its answer, of whatever type.
export function set(node, value, question) {
	if (value === null || value === undefined) {
		return;
	}
	if (question?.many && Array.isArray(value)) {
		node.setValue(value.join('\n'));
		return;
	}
	switch (node.nodeType) {
		case 'select':
			Array.isArray(value) ? node.selectValues(value.map(String)) : node.selectValue(String(value));
			break;
		case 'rank':
			node.setValues(value.map(String));
			break;
		case 'trigger':
			node.setValue(value === true);
			break;
		case 'input':
		case 'range':
			node.setValue(typed(node.valueType, value));
			break;
		default: // calculations and notes follow from the answers
	}
}

export function typed(type, value) {
	switch (type) {
		case 'int':
			return BigInt(Math.trunc(Number(value)));
		case 'decimal':
			return Number(value);
		case 'geopoint':
			return typeof value === 'object' ? `${value.lat} ${value.lon} ${value.alt_m ?? 0} ${value.acc_m ?? 0}` : value;
		default:
			return String(value);
	}
}

// startEmpty removes the empty first rows that the engine makes: a repeat that
// nobody asked for is no row.
export function startEmpty(node) {
	for (const child of node.currentState.children ?? []) {
		if (child.nodeType === 'repeat-range:uncontrolled') {
			const n = child.currentState.children.length;
			if (n > 0) {
				child.removeInstances(0, n);
			}
		} else if (child.nodeType === 'group') {
			startEmpty(child);
		}
	}
}
