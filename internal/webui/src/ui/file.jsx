// Recordings and other files are kept as they are.
import { useState } from 'preact/hooks';
import { keepFile } from '../api.js';

export function FileInput({ id, node, question, words, described, onAnswer }) {
	const [state, setState] = useState('');
	const name = node.currentState.value ?? '';
	const accept = question.media === 'file' ? undefined : `${question.media}/*`;
	const take = async (e) => {
		const file = e.target.files[0];
		if (!file) {
			return;
		}
		setState('working');
		try {
			node.setValue(await keepFile(file));
			onAnswer();
			setState('');
		} catch {
			setState('unsaved');
		}
	};
	return (
		<div class="photo">
			{name && <p class="found">{words.t('file.kept')} <button type="button" class="button plain" onClick={() => { node.setValue(''); onAnswer(); }}>{words.t('photo.drop')}</button></p>}
			<label class="button big file">
				<span>{words.t(state === 'working' ? 'photo.working' : 'file.take')}</span>
				<input id={id} type="file" accept={accept} capture={question.media === 'file' ? undefined : 'user'} aria-labelledby={`${id}-label`} aria-describedby={described} onChange={take} />
			</label>
			{state === 'unsaved' && <p class="wrong" role="alert">{words.t('file.unsaved')}</p>}
		</div>
	);
}
