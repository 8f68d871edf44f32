// Says at all times whether the answers are safe on this device.
import { Tick } from './done.jsx';

export function Saving({ saving, words }) {
	switch (saving.state) {
		case 'saved':
			return <p class="saving ok" role="status" id="saving"><Tick /> {words.t('draft.saved', { at: words.clock(saving.at) })}</p>;
		case 'unsaved':
			return <p class="saving bad" role="alert" id="saving">{words.t(saving.at?.status === 403 ? 'draft.signedout' : 'draft.unsaved')}</p>;
		case 'done':
			return <p class="saving bad" role="alert" id="saving">{words.t('draft.done')}</p>;
		case 'saving':
			return <p class="saving" role="status" id="saving">{words.t('draft.saving')}</p>;
		default:
			return <p class="saving" id="saving">{words.t('draft.new')}</p>;
	}
}
