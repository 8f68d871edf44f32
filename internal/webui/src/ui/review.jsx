// All answers once more before they are saved.
import { label, pathOf, violation } from '../steps.js';

export function Review({ steps, words, heading, onGo, questions }) {
	return (
		<>
			<h2 ref={heading} tabIndex={-1}>{words.t('review')}</h2>
			<ol class="review">
				{steps.map((s, i) => {
					if (s.node.nodeType === 'note' || s.kind === 'rows') {
						return null;
					}
					const wrong = violation(s);
					const media = questions[pathOf(s.node)]?.media;
					const answer = media ? (s.node.currentState.value ? words.t('file.kept') : '') : shown(s.node);
					return (
						<li key={s.key} class={wrong ? 'bad' : ''}>
							<button type="button" onClick={() => onGo(i)}>
								<span class="soft">{label(s.node) || pathOf(s.node)}</span>
								<span class="what">{answer || (wrong ? words.t('wrong.required') : words.t('review.none'))}</span>
							</button>
						</li>
					);
				})}
			</ol>
		</>
	);
}

// shown writes an answer as people read it.
export function shown(node) {
	const v = node.currentState.value;
	if (v === null || v === undefined) {
		return '';
	}
	switch (node.nodeType) {
		case 'select':
			return v.map((x) => node.getValueOption(x)?.label?.asString || x).join(', ');
		case 'rank':
			return v.map((x) => node.getValueLabel(x)?.asString ?? x).join(' › ');
		case 'trigger':
			return v ? '✓' : '';
	}
	if (node.valueType === 'geopoint') {
		return `${v.latitude.toFixed(5)} ${v.longitude.toFixed(5)}`;
	}
	return String(v).replace(/\n/g, ', ');
}
