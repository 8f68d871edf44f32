export function Acknowledge({ id, node, words, described, onAnswer }) {
	const on = node.currentState.value === true;
	return (
		<div class="choices">
			<label class="choice">
				<input id={id} type="checkbox" checked={on} aria-describedby={described} onChange={() => { node.setValue(!on); onAnswer(); }} />
				<span>{words.t('agree')}</span>
			</label>
		</div>
	);
}
