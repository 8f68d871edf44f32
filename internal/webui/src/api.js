// The agent's local API. Every call is bounded in time: the agent answers at
// once or not at all.
const patience = 8000;

export class Refused extends Error {
	constructor(refusal, status) {
		super([refusal.which, refusal.what].filter(Boolean).join(': '));
		Object.assign(this, refusal, { status });
	}
}

async function call(method, path, body, type = 'application/json') {
	const res = await fetch(path, {
		method,
		body,
		headers: body === undefined ? {} : { 'Content-Type': type },
		signal: AbortSignal.timeout(patience),
		credentials: 'same-origin',
	});
	if (res.status === 204) {
		return null;
	}
	const answer = await res.json().catch(() => ({}));
	if (!res.ok) {
		throw new Refused(answer.error ?? { code: 'internal', what: `${res.status} ${res.statusText}` }, res.status);
	}
	return answer;
}

export const saveDraft = (id, content) => call('PUT', `/api/v1/drafts/${id}`, JSON.stringify(content));
export const dropDraft = (id) => call('DELETE', `/api/v1/drafts/${id}`);
export const submit = (submission) => call('POST', '/api/v1/submissions', JSON.stringify(submission));
export const keepFile = async (blob) => (await call('POST', '/api/v1/files', blob, blob.type || 'application/octet-stream')).name;
export const fileURL = (name) => `/api/v1/files/${encodeURIComponent(name)}`;
