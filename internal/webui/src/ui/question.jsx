// One question: its words, its control by its type, and what is wrong.
import { label, pathOf } from '../steps.js';
import { Acknowledge } from './acknowledge.jsx';
import { Choices } from './choices.jsx';
import { Clock } from './clock.jsx';
import { FileInput } from './file.jsx';
import { Number_ } from './number.jsx';
import { Photo } from './photo.jsx';
import { PlaceInput } from './place.jsx';
import { Rank } from './rank.jsx';
import { Signature } from './signature.jsx';
import { Text } from './text.jsx';

export function Question({ step, form, given, words, heading, onAnswer, onEnter, onUnread, wrong }) {
	const { node } = step;
	const question = given.start.questions[pathOf(node)] ?? {};
	const hint = node.currentState.hint?.asString;
	const id = 'q';
	const Control = controlOf(node, question);
	const described = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(' ') || undefined;
	return (
		<>
			<Trail trail={step.trail} words={words} />
			<h2 id={`${id}-label`} ref={heading} tabIndex={-1}>
				{label(node) || pathOf(node)}
				{node.currentState.required && <span class="must"> · {words.t('must')}</span>}
			</h2>
			{hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
			{Control && (
				<Control id={id} node={node} question={question} form={form} given={given} words={words} described={described}
					invalid={Boolean(wrong)} onAnswer={onAnswer} onEnter={onEnter} onUnread={onUnread} />
			)}
			{wrong && <p class="wrong" role="alert" id={`${id}-wrong`}>{wordsOf(wrong, words)}</p>}
		</>
	);
}

// wordsOf says what is wrong: in the form's words, or else in ours.
function wordsOf(violation, words) {
	const own = violation.message?.asString;
	if (violation.condition === 'required') {
		return own && !/^Condition not satisfied/.test(own) ? own : words.t('wrong.required');
	}
	return own && !/^Condition not satisfied/.test(own) ? own : words.t('wrong.constraint');
}

function Trail({ trail, words }) {
	if (trail.length === 0) {
		return null;
	}
	const parts = trail.map((t) => (t.repeat ? `${label(t.repeat)} ${t.row + 1}` : label(t)));
	return <p class="trail">{parts.filter(Boolean).join(' › ')}</p>;
}

function controlOf(node, question) {
	switch (question.media) {
		case 'photo':
			return Photo;
		case 'signature':
			return Signature;
		case 'audio':
		case 'video':
		case 'file':
			return FileInput;
	}
	switch (node.nodeType) {
		case 'select':
			return Choices;
		case 'rank':
			return Rank;
		case 'trigger':
			return Acknowledge;
		case 'range':
			return Number_;
		case 'note':
			return null;
	}
	switch (node.valueType) {
		case 'int':
		case 'decimal':
			return Number_;
		case 'date':
		case 'time':
		case 'dateTime':
			return Clock;
		case 'geopoint':
			return PlaceInput;
		default:
			return Text;
	}
}
