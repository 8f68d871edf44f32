// The page as a whole: which draft, the steps, the review, and what became of it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { dropDraft } from '../api.js';
import { Draft, newID } from '../draft.js';
import { open, xmlOf } from '../engine.js';
import { fill, startEmpty } from '../fill.js';
import { Done } from './done.jsx';
import { Form } from './form.jsx';
import { Resume } from './resume.jsx';

export function App({ given, words }) {
	const [picked, pick] = useState(given.draft ?? (given.drafts?.length ? undefined : null));
	const [done, setDone] = useState(null);
	if (done) {
		return <Done done={done} words={words} title={given.start.title} back={given.back} />;
	}
	if (picked === undefined) {
		const drop = async (draft) => {
			await dropDraft(draft.id);
			given.drafts = given.drafts.filter((d) => d !== draft);
			pick(given.drafts.length ? undefined : null);
		};
		return <Resume drafts={given.drafts} words={words} onPick={pick} onDrop={drop} />;
	}
	return <Session given={given} draft={picked} words={words} onDone={setDone} />;
}

// Session opens the form and keeps its draft.
function Session({ given, draft, words, onDone }) {
	const [, redraw] = useState(0);
	const [form, setForm] = useState(null);
	const [trouble, setTrouble] = useState(null);
	const [saving, setSaving] = useState({ state: draft ? 'saved' : 'new', at: draft && new Date(draft.saved_at) });
	const kept = useRef(null);
	useEffect(() => {
		let pending = false;
		const changed = () => {
			if (!pending) {
				pending = true;
				queueMicrotask(() => {
					pending = false;
					redraw((n) => n + 1);
				});
			}
		};
		begin({ given, draft, changed, words, setSaving, kept }).then(
			(f) => {
				setForm(f);
				performance.mark('otor-ready');
			},
			(e) => setTrouble(e),
		);
	}, []);
	if (trouble) {
		return (
			<section class="card finding" role="alert">
				<p><strong>{words.t('broken')}</strong></p>
				<p>{String(trouble.message ?? trouble)}</p>
				<p><a class="button" href="/">{words.t('home')}</a></p>
			</section>
		);
	}
	if (!form) {
		return <p class="card wait" role="status">{words.t('loading')}</p>;
	}
	return <Form form={form} given={given} words={words} saving={saving} keeper={kept.current} onDone={onDone} />;
}

async function begin({ given, draft, changed, words, setSaving, kept }) {
	const start = given.start;
	const from = draft?.content ?? {};
	const { root } = await open(start.xform, { xml: from.xml, lang: words.lang, changed });
	if (!from.xml) {
		startEmpty(root);
		fill(root, start.fields ?? {}, start.questions);
	}
	const form = { root, sources: from.sources ?? {}, step: from.step ?? '', user: from.user ?? '', context: from.context ?? start.context };
	const id = draft?.id ?? newID();
	kept.current = new Draft(
		id,
		async () => ({
			form: start.form, version: start.version, entity: start.entity, corrects: start.corrects ?? '', title: start.title,
			user: form.user, context: form.context, sources: form.sources, step: form.step, xml: await xmlOf(root),
		}),
		(state, at) => {
			setSaving({ state, at });
			if (state === 'saved') {
				const url = new URL(location.href);
				url.searchParams.set('draft', id);
				history.replaceState(null, '', url);
			}
		},
	);
	return form;
}
