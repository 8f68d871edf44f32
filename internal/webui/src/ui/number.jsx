// Numbers by large steps and by keypad. The field keeps its own text while
// somebody types, since "1." is no number yet.
import { useState } from 'preact/hooks';
import { typed } from '../fill.js';

export function Number_({ id, node, question, described, invalid, words, onAnswer, onUnread }) {
	const whole = node.valueType === 'int';
	const value = node.currentState.value;
	const [text, setText] = useState(value === null || value === undefined ? '' : String(value));
	const [bad, setBad] = useState(false);
	const bounds = node.definition.bodyElement ?? {};
	const range = node.nodeType === 'range';
	const step = range ? Number(node.definition.bodyElement?.step ?? 1) : 1;
	const set = (raw, now) => {
		setText(raw);
		const clean = raw.trim().replace(',', '.');
		const fits = clean === '' || (whole ? /^[+-]?\d{1,18}$/ : /^[+-]?(\d+(\.\d*)?|\.\d+)$/).test(clean);
		setBad(!fits);
		onUnread(!fits);
		node.setValue(fits && clean !== '' ? typed(node.valueType, clean) : null);
		onAnswer(now);
	};
	const add = (n) => {
		const low = range ? Number(bounds.start ?? 1) : undefined;
		const from = text === '' ? (low ?? 0) - (low === undefined ? 0 : n) : Number(text.replace(',', '.')) || 0;
		set(String(whole ? Math.trunc(from + n) : Math.round((from + n) * 1e6) / 1e6), true);
	};
	const steps = range ? [-step, step] : [-10, -1, 1, 10];
	return (
		<div class="number">
			<div class="number-in">
				<input id={id} type="text" inputMode={whole ? 'numeric' : 'decimal'} value={text} autocomplete="off" enterkeyhint="next"
					aria-labelledby={`${id}-label`} aria-describedby={described} aria-invalid={invalid || bad} readOnly={node.currentState.readonly}
					onInput={(e) => set(e.target.value, false)} onBlur={() => onAnswer(true)} />
				{question.unit && <span class="unit">{question.unit}</span>}
			</div>
			{!node.currentState.readonly && (
				<div class="steps">
					{steps.map((n) => <button type="button" class="button plain" key={n} onClick={() => add(n)}>{n > 0 ? `+${n}` : `−${-n}`}</button>)}
				</div>
			)}
			{range && <p class="hint">{words.t('range', { from: String(bounds.start), to: String(bounds.end) })}</p>}
			{bad && <p class="wrong" role="alert">{words.t(whole ? 'wrong.whole' : 'wrong.number')}</p>}
		</div>
	);
}
