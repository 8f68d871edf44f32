// The one place that knows the form engine (@getodk/xforms-engine, before 1.0,
// pinned): what it loads, how a form is opened, and its answers as XML.
import { createInstance, loadForm, restoreInstance } from '@getodk/xforms-engine';

const fileName = 'xml_submission_file';

// open loads an XForm and opens it: anew, or from a draft's XML. changed is
// called after any state of the form changed.
export async function open(xform, { xml, lang, changed }) {
	const form = await loadForm(xform, {
		fetchFormAttachment: async () => new Response('', { status: 404 }),
		missingResourceBehavior: 'BLANK',
	});
	if (form.status === 'failure') {
		throw form.error;
	}
	const config = {
		stateFactory: (o) =>
			new Proxy(o, {
				set(target, key, value) {
					target[key] = value;
					changed();
					return true;
				},
			}),
	};
	const data = new FormData();
	if (xml) {
		data.set(fileName, new File([xml], fileName, { type: 'text/xml' }));
	}
	const instance = xml
		? await form.restoreInstance({ data: [data] }, config)
		: form.createInstance(config);
	const root = instance.root;
	speak(root, lang);
	return { root, warnings: form.warnings };
}

// speak chooses the form's language by the page's: "中文 (zh)" for zh.
export function speak(root, lang) {
	const found = root.languages.find((l) => {
		const code = /\(([^()]+)\)\s*$/.exec(l.language ?? '')?.[1] ?? l.language;
		return code === lang;
	});
	if (found && !found.isSyntheticDefault) {
		root.setLanguage(found);
	}
}

// xmlOf writes the answers as the primary instance's XML.
export async function xmlOf(root) {
	const payload = await root.prepareInstancePayload({ payloadType: 'monolithic' });
	return payload.data[0].get(fileName).text();
}

export { loadForm, createInstance, restoreInstance };
