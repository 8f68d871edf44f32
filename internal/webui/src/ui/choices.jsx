// Large choices before any typing.
export function Choices({ id, node, described, onAnswer, invalid }) {
	const many = node.selectType === 'select';
	const chosen = node.currentState.value;
	const toggle = (value) => {
		if (!many) {
			node.selectValue(value);
		} else {
			node.selectValues(chosen.includes(value) ? chosen.filter((v) => v !== value) : [...chosen, value]);
		}
		onAnswer();
	};
	return (
		<div class="choices" role={many ? 'group' : 'radiogroup'} aria-labelledby={`${id}-label`} aria-describedby={described} aria-invalid={many ? undefined : invalid}>
			{node.currentState.valueOptions.map((o) => (
				<label class="choice" key={o.value}>
					<input type={many ? 'checkbox' : 'radio'} name={id} value={o.value} checked={chosen.includes(o.value)} onChange={() => toggle(o.value)} />
					<span>{o.label?.asString || o.value}</span>
				</label>
			))}
			{!many && chosen.length > 0 && !node.currentState.required && (
				<button type="button" class="button plain small" onClick={() => { node.selectValue(null); onAnswer(); }}>×</button>
			)}
		</div>
	);
}
