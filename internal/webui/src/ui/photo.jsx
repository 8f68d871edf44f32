// Photos: taken or chosen, made small here, kept on the device at once, and
// named by the answer. They travel on their own and hold no record back.
import { useState } from 'preact/hooks';
import { fileURL, keepFile } from '../api.js';
import { PhotoError, shrink } from '../photo.js';

export function Photo({ id, node, question, words, described, onAnswer }) {
	const [state, setState] = useState('');
	const names = (node.currentState.value ?? '').split('\n').filter(Boolean);
	const take = async (e) => {
		const file = e.target.files[0];
		e.target.value = '';
		if (!file) {
			return;
		}
		setState('working');
		try {
			const name = await keepFile(await shrink(file));
			node.setValue((question.many ? [...names, name] : [name]).join('\n'));
			onAnswer();
			setState('');
		} catch (err) {
			setState(err instanceof PhotoError ? err.message : err.code === 'disk_full' ? 'full' : 'unsaved');
		}
	};
	const drop = (name) => {
		node.setValue(names.filter((n) => n !== name).join('\n'));
		onAnswer();
	};
	return (
		<div class="photo">
			{names.map((n) => (
				<figure key={n}>
					<img src={fileURL(n)} alt={words.t('photo.alt')} />
					<button type="button" class="button plain" onClick={() => drop(n)}>{words.t('photo.drop')}</button>
				</figure>
			))}
			{(question.many || names.length === 0) && (
				<label class="button big file">
					<span>{words.t(state === 'working' ? 'photo.working' : 'photo.take')}</span>
					<input id={id} type="file" accept="image/*" capture="environment" aria-labelledby={`${id}-label`} aria-describedby={described} onChange={take} disabled={state === 'working'} />
				</label>
			)}
			{state && state !== 'working' && <p class="wrong" role="alert">{words.t(`photo.${state}`)}</p>}
		</div>
	);
}
