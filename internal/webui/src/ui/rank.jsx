// An order by buttons: no dragging.
export function Rank({ id, node, words, onAnswer }) {
	const options = node.currentState.valueOptions.map((o) => o.value);
	const value = node.currentState.value;
	const order = value.length ? value : options;
	const move = (i, by) => {
		const next = [...order];
		[next[i], next[i + by]] = [next[i + by], next[i]];
		node.setValues(next);
		onAnswer();
	};
	return (
		<>
			<ol class="rank" aria-labelledby={`${id}-label`}>
				{order.map((v, i) => {
					const name = node.getValueLabel(v)?.asString ?? v;
					return (
						<li key={v}>
							<span class="place">{i + 1}</span>
							<span class="what">{name}</span>
							<button type="button" class="button plain" disabled={i === 0} aria-label={words.t('rank.up', { what: name })} onClick={() => move(i, -1)}>↑</button>
							<button type="button" class="button plain" disabled={i === order.length - 1} aria-label={words.t('rank.down', { what: name })} onClick={() => move(i, 1)}>↓</button>
						</li>
					);
				})}
			</ol>
			{value.length === 0 && <button type="button" class="button plain" onClick={() => { node.setValues(options); onAnswer(); }}>{words.t('rank.keep')}</button>}
		</>
	);
}
