// A signature with a finger. Whoever cannot sign so types the name instead.
import { useEffect, useRef, useState } from 'preact/hooks';
import { fileURL, keepFile } from '../api.js';

export function Signature({ id, node, words, described, onAnswer }) {
	const canvas = useRef(null);
	const [inked, setInked] = useState(false);
	const [typedName, setTypedName] = useState('');
	const [failed, setFailed] = useState(false);
	const name = node.currentState.value ?? '';
	useEffect(() => {
		const c = canvas.current;
		if (!c) {
			return;
		}
		const ctx = c.getContext('2d');
		ctx.fillStyle = '#fff';
		ctx.fillRect(0, 0, c.width, c.height);
		ctx.lineWidth = 5;
		ctx.lineCap = ctx.lineJoin = 'round';
		ctx.strokeStyle = '#111418';
	}, [name]);
	const point = (e) => {
		const r = canvas.current.getBoundingClientRect();
		return [((e.clientX - r.left) / r.width) * canvas.current.width, ((e.clientY - r.top) / r.height) * canvas.current.height];
	};
	const down = (e) => {
		e.preventDefault();
		canvas.current.setPointerCapture(e.pointerId);
		const ctx = canvas.current.getContext('2d');
		ctx.beginPath();
		ctx.moveTo(...point(e));
	};
	const draw = (e) => {
		if (e.buttons === 0 && e.pressure === 0) {
			return;
		}
		const ctx = canvas.current.getContext('2d');
		ctx.lineTo(...point(e));
		ctx.stroke();
		setInked(true);
	};
	const keep = async () => {
		if (!inked && typedName.trim()) {
			const ctx = canvas.current.getContext('2d');
			ctx.fillStyle = '#111418';
			ctx.font = '64px system-ui, sans-serif';
			ctx.fillText(typedName.trim(), 24, 140, canvas.current.width - 48);
		}
		const blob = await new Promise((done) => canvas.current.toBlob(done, 'image/png'));
		try {
			node.setValue(await keepFile(blob));
			setFailed(false);
			onAnswer();
		} catch {
			setFailed(true);
		}
	};
	const clear = () => {
		node.setValue('');
		setInked(false);
		const c = canvas.current;
		c?.getContext('2d').fillRect(0, 0, c.width, c.height);
		onAnswer();
	};
	if (name) {
		return (
			<figure class="photo">
				<img src={fileURL(name)} alt={words.t('sign.alt')} />
				<button type="button" class="button plain" onClick={clear}>{words.t('sign.again')}</button>
			</figure>
		);
	}
	return (
		<div class="sign">
			<canvas ref={canvas} width={720} height={240} aria-label={words.t('sign.pad')} role="img" onPointerDown={down} onPointerMove={draw} />
			<label class="typed">{words.t('sign.type')}
				<input id={id} type="text" value={typedName} autocomplete="off" aria-describedby={described} onInput={(e) => setTypedName(e.target.value)} />
			</label>
			<div class="steps">
				<button type="button" class="button plain" onClick={clear}>{words.t('sign.clear')}</button>
				<button type="button" class="button" disabled={!inked && !typedName.trim()} onClick={keep}>{words.t('sign.keep')}</button>
			</div>
			{failed && <p class="wrong" role="alert">{words.t('file.unsaved')}</p>}
		</div>
	);
}
