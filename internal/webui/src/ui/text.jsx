// Typed text. A question with known answers offers them as large choices, and
// takes others as well; one that takes many has one answer a line.
import { useState } from 'preact/hooks';

export function Text({ id, node, question, described, invalid, words, onAnswer }) {
	const appearance = [...(node.appearances ?? [])];
	const value = node.currentState.value ?? '';
	const lines = question.many || appearance.includes('multiline') || (node.nodeOptions?.rows ?? 1) > 1;
	const known = question.choices ?? [];
	const [other, setOther] = useState(value !== '' && !known.some((c) => c.name === value));
	const set = (v, now) => {
		node.setValue(v);
		onAnswer(now);
	};
	const field = {
		id, 'aria-labelledby': `${id}-label`, 'aria-describedby': described, 'aria-invalid': invalid, value,
		readOnly: node.currentState.readonly, autocomplete: 'off',
		onInput: (e) => set(e.target.value, false), onBlur: () => onAnswer(true),
	};
	return (
		<>
			{known.length > 0 && (
				<div class="choices" role="radiogroup" aria-labelledby={`${id}-label`}>
					{known.map((c) => (
						<label class="choice" key={c.name}>
							<input type="radio" name={`${id}-known`} checked={!other && value === c.name} onChange={() => { setOther(false); set(c.name, true); }} />
							<span>{c.label}</span>
						</label>
					))}
					<label class="choice">
						<input type="radio" name={`${id}-known`} checked={other} onChange={() => { setOther(true); set('', true); }} />
						<span>{words.t('other')}</span>
					</label>
				</div>
			)}
			{(known.length === 0 || other) && (lines ? <textarea rows={4} {...field} /> : <input type="text" enterkeyhint="next" {...field} />)}
			{question.many && <p class="hint">{words.t('many')}</p>}
		</>
	);
}
