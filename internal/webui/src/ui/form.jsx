// One question a screen, back and next, how far one is, and the review.
import { useEffect, useRef, useState } from 'preact/hooks';
import { submit } from '../api.js';
import { xmlOf } from '../engine.js';
import { answered, stepsOf, violation, whereIs } from '../steps.js';
import { Question } from './question.jsx';
import { Review } from './review.jsx';
import { Rows } from './rows.jsx';
import { Saving } from './saving.jsx';

export function Form({ form, given, words, saving, keeper, onDone }) {
	const steps = stepsOf(form.root);
	const [at, setAt] = useState(() => Math.max(0, steps.findIndex((s) => s.key === form.step)));
	const [shown, show] = useState(false); // what is wrong is said after the first try
	const [refusal, refuse] = useState(null);
	const [unread, setUnread] = useState(false); // what stands in the question's field is no answer
	const [busy, setBusy] = useState(false);
	const heading = useRef(null);
	const index = Math.min(at, steps.length);
	const step = steps[index];
	useEffect(() => heading.current?.focus(), [step?.key]);

	const go = (n) => {
		show(false);
		setUnread(false);
		refuse(null);
		setAt(n);
		form.step = steps[n]?.key ?? '';
		if (keeper.dirty || saving.state !== 'new') {
			keeper.touch(true);
		}
		scrollTo(0, 0);
	};
	// What cannot be read must not become no answer without a word.
	const next = () => (unread || violation(step) ? show(true) : go(index + 1));
	const answer = (now = true) => {
		refuse(null);
		keeper.touch(now);
	};
	const send = async () => {
		const wrong = steps.findIndex(violation);
		if (wrong >= 0) {
			go(wrong);
			show(true);
			return;
		}
		setBusy(true);
		try {
			await keeper.hold();
			const res = await submit({
				form: given.start.form, version: given.start.version, entity: given.start.entity, corrects: given.start.corrects ?? '',
				user: form.user, draft: keeper.id, sources: form.sources, context: form.context, xml: await xmlOf(form.root),
			});
			await keeper.stop();
			onDone(res);
		} catch (e) {
			keeper.release();
			const where = whereIs(steps, e.which);
			if (where >= 0) {
				go(where);
			}
			refuse(e);
		}
		setBusy(false);
	};

	return (
		<form class="ask" noValidate onSubmit={(e) => { e.preventDefault(); step ? next() : send(); }}>
			<Progress index={index} total={steps.length} words={words} />
			{given.start.as_of && index === 0 && <p class="soft asof">{words.t('asof', { at: words.clock(new Date(given.start.as_of)) })}</p>}
			<div class="step" key={step?.key ?? 'review'}>
				{!step && <Review steps={steps} words={words} heading={heading} onGo={go} questions={given.start.questions} />}
				{step?.kind === 'rows' && <Rows step={step} words={words} heading={heading} onChange={answer} onAdded={() => go(index)} />}
				{step?.kind === 'question' && (
					<Question step={step} form={form} given={given} words={words} heading={heading} onAnswer={answer} onEnter={next} onUnread={setUnread}
						wrong={shown && !unread ? violation(step) : null} />
				)}
				{refusal && <p class="wrong" role="alert" id="refusal">{refusal.what}{refusal.do ? ` ${refusal.do}` : ''}</p>}
			</div>
			<Saving saving={saving} words={words} />
			<div class="moves">
				<button type="button" class="button plain" id="back" disabled={index === 0} onClick={() => go(index - 1)}>{words.t('back')}</button>
				{step
					? <button type="submit" class="button" id="next">{answered(step) || step.node.nodeType === 'note' || step.kind === 'rows' ? words.t('next') : words.t(step.node.currentState.required ? 'next' : 'skip')}</button>
					: <button type="submit" class="button save" id="save" disabled={busy}>{words.t(given.start.corrects ? 'save.correction' : 'save')}</button>}
			</div>
		</form>
	);
}

function Progress({ index, total, words }) {
	const text = index < total ? words.t('progress', { i: index + 1, n: total }) : words.t('progress.review');
	return (
		<div class="progress">
			<progress max={total} value={index} aria-label={text} />
			<span aria-hidden="true">{text}</span>
		</div>
	);
}
