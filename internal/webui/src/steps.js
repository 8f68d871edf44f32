// A form as a row of steps: one question each; a repeat has a step of its own
// that lists its rows and adds one.

// stepsOf lists the steps that are asked now, in order, each with its node.
export function stepsOf(root) {
	const out = [];
	walk(root, out, []);
	return out;
}

function walk(node, out, trail) {
	for (const child of node.currentState.children ?? []) {
		if (!child.currentState.relevant) {
			continue;
		}
		switch (child.nodeType) {
			case 'group':
				walk(child, out, label(child) ? [...trail, child] : trail);
				break;
			case 'repeat-range:controlled':
			case 'repeat-range:uncontrolled':
				child.currentState.children.forEach((row, i) => walk(row, out, [...trail, { repeat: child, row: i }]));
				if (child.nodeType === 'repeat-range:uncontrolled') {
					out.push({ kind: 'rows', node: child, trail, key: key(child) });
				}
				break;
			case 'model-value':
				break;
			default:
				out.push({ kind: 'question', node: child, trail, key: key(child) });
		}
	}
}

export const label = (node) => node.currentState.label?.asString ?? '';

export const key = (node) => node.currentState.reference;

// pathOf is a question's path as the agent names it: "rows/count".
export const pathOf = (node) =>
	node.currentState.reference
		.split('/')
		.slice(2)
		.map((p) => p.replace(/\[\d+\]$/, ''))
		.join('/');

// whereIs finds the step that a refusal names: "rows[0].count", rows from 0.
export function whereIs(steps, which) {
	const want = (which ?? '').replace(/^field /, '').split('.').map((p) => {
		const m = /^(.*?)(?:\[(\d+)\])?$/.exec(p);
		return m[2] === undefined ? m[1] : `${m[1]}[${Number(m[2]) + 1}]`;
	});
	const tail = (s) => s.key.split('/').slice(2).join('/');
	const exact = steps.findIndex((s) => tail(s) === want.join('/'));
	return exact >= 0 ? exact : steps.findIndex((s) => tail(s).replace(/\[\d+\]/g, '') === want.join('/').replace(/\[\d+\]/g, ''));
}

// violation is what is wrong with a step's answer, null when nothing is.
export const violation = (step) => (step.kind === 'question' ? step.node.validationState.violation : null);

// answered reports whether a step has an answer.
export function answered(step) {
	const v = step.node.currentState.value;
	return !(v === null || v === undefined || v === '' || v === false || (Array.isArray(v) && v.length === 0));
}
