// The rows of a repeat: what is there, remove one, add one.
import { label } from '../steps.js';
import { shown } from './review.jsx';

export function Rows({ step, words, heading, onChange, onAdded }) {
	const { node } = step;
	const rows = node.currentState.children;
	const add = () => {
		node.addInstances(rows.length - 1, 1);
		onChange();
		onAdded();
	};
	const remove = (i) => {
		node.removeInstances(i, 1);
		onChange();
	};
	return (
		<>
			<h2 ref={heading} tabIndex={-1}>{label(node)}</h2>
			<ol class="rows">
				{rows.map((row, i) => (
					<li key={row.nodeId}>
						<span class="what">{summary(row) || words.t('rows.empty')}</span>
						<button type="button" class="button plain" aria-label={words.t('rows.remove', { n: i + 1 })} onClick={() => remove(i)}>×</button>
					</li>
				))}
			</ol>
			<button type="button" class="button plain big" id="add" onClick={add}>{words.t('rows.add')}</button>
		</>
	);
}

function summary(row) {
	const parts = [];
	const walk = (n) => {
		for (const c of n.currentState.children ?? []) {
			if (c.nodeType === 'group') {
				walk(c);
			} else if (c.nodeType !== 'model-value' && c.currentState.relevant) {
				parts.push(shown(c));
			}
		}
	};
	walk(row);
	return parts.filter(Boolean).join(' · ');
}
