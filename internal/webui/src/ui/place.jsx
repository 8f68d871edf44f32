// Where: by the satellites, or a known place. Each says how old and how exact it is.
import { useEffect, useState } from 'preact/hooks';
import { pathOf } from '../steps.js';

const patience = 30000; // ms for a fix

export function PlaceInput({ id, node, form, given, words, described, onAnswer }) {
	const [state, setState] = useState('');
	const path = pathOf(node);
	const fix = form.sources[path];
	const value = node.currentState.value;
	const places = given.start.places ?? [];
	const [, tick] = useState(0);
	useEffect(() => {
		const t = setInterval(() => tick((n) => n + 1), 30000);
		return () => clearInterval(t);
	}, []);
	const keep = (text, source, at) => {
		node.setValue(text);
		form.sources[path] = { source, at };
		setState('');
		onAnswer();
	};
	const locate = () => {
		if (!('geolocation' in navigator) || !isSecureContext) {
			setState('none');
			return;
		}
		setState('waiting');
		navigator.geolocation.getCurrentPosition(
			(p) => {
				const c = p.coords;
				keep(`${c.latitude.toFixed(6)} ${c.longitude.toFixed(6)} ${Math.round(c.altitude ?? 0)} ${Math.round(c.accuracy ?? 0)}`, 'gnss', p.timestamp);
			},
			(e) => setState(e.code === e.PERMISSION_DENIED ? 'denied' : 'none'),
			{ enableHighAccuracy: true, timeout: patience, maximumAge: 60000 },
		);
	};
	return (
		<div class="where">
			<button type="button" class="button big" id={id} aria-describedby={described} disabled={state === 'waiting'} onClick={locate}>
				{words.t(state === 'waiting' ? 'place.waiting' : 'place.here')}
			</button>
			{value && (
				<p class="found" role="status">
					{words.t('place.at', { lat: value.latitude.toFixed(5), lon: value.longitude.toFixed(5) })}
					{value.accuracy ? ` · ± ${Math.round(value.accuracy)} m` : ''}
					{fix?.at ? ` · ${words.t('place.age', { n: Math.max(0, Math.round((Date.now() - fix.at) / 60000)) })}` : ''}
				</p>
			)}
			{(state === 'none' || state === 'denied') && <p class="wrong" role="alert">{words.t(`place.${state}`)}</p>}
			{places.length > 0 && (
				<div class="choices" role="radiogroup" aria-label={words.t('place.known')}>
					<p class="soft">{words.t('place.known')}</p>
					{places.map((p) => (
						<label class="choice" key={p.id}>
							<input type="radio" name={`${id}-known`} checked={fix?.source === `waypoint:${p.id}`} onChange={() => keep(`${p.lat} ${p.lon} 0 0`, `waypoint:${p.id}`)} />
							<span>{p.name}</span>
						</label>
					))}
				</div>
			)}
		</div>
	);
}
