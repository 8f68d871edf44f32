// Dates and times by the device's own pickers; times go to the second, which
// is what the engine reads.
const kinds = { date: 'date', time: 'time', dateTime: 'datetime-local' };

export function Clock({ id, node, described, invalid, words, onAnswer }) {
	const { valueType } = node;
	const set = (v) => {
		node.setValue(v === '' ? '' : full(valueType, v));
		onAnswer();
	};
	return (
		<div class="clock">
			<input id={id} type={kinds[valueType]} value={short(valueType, node.currentState.value)} aria-labelledby={`${id}-label`} aria-describedby={described}
				aria-invalid={invalid} readOnly={node.currentState.readonly} onChange={(e) => set(e.target.value)} />
			<button type="button" class="button plain" onClick={() => set(short(valueType, now(valueType)))}>{words.t(valueType === 'date' ? 'today' : 'now')}</button>
		</div>
	);
}

const two = (n) => String(n).padStart(2, '0');

const day = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;

const time = (d) => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;

function now(type) {
	const d = new Date();
	return type === 'date' ? day(d) : type === 'time' ? time(d) : `${day(d)}T${time(d)}`;
}

// full writes what a picker gives as the engine reads it.
function full(type, v) {
	if (type === 'date') {
		return v;
	}
	const whole = /:\d\d:\d\d/.test(v) ? v : `${v}:00`;
	if (type === 'time') {
		return whole;
	}
	const minutes = -new Date(whole).getTimezoneOffset();
	const off = Math.abs(minutes);
	return `${whole}${minutes < 0 ? '-' : '+'}${two(Math.trunc(off / 60))}:${two(off % 60)}`;
}

// short writes an answer as a picker takes it.
function short(type, v) {
	const s = v === null || v === undefined ? '' : String(v);
	switch (type) {
		case 'date':
			return s.slice(0, 10);
		case 'time':
			return s.slice(0, 5);
		default:
			return s.slice(0, 16);
	}
}
