// A draft is kept on the device after every answer. One write is on its way at
// a time; what changed meanwhile goes with the next one. A write that fails is
// tried again, and the page says so until it worked.
import { Refused, saveDraft } from './api.js';

const pause = 300; // ms after a keystroke; an answer that is left goes at once
const again = 2000; // ms between tries

export class Draft {
	// content() makes what is kept; told(state) hears of "saving", "saved", "unsaved", "done".
	constructor(id, content, told) {
		Object.assign(this, { id, content, told, dirty: false, busy: false, failed: false, timer: 0, waiters: [] });
	}

	// touch notes a change; now writes it without a pause.
	touch(now = false) {
		this.dirty = true;
		if (!this.failed && !this.ended && !this.held) {
			this.told('saving'); // from the first keystroke on: what is typed is not kept yet
		}
		clearTimeout(this.timer);
		if (now) {
			this.write();
		} else {
			this.later(pause);
		}
	}

	later(ms) {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.write(), ms);
	}

	async write() {
		if (this.busy || !this.dirty || this.ended || this.held) {
			return;
		}
		this.busy = true;
		this.dirty = false;
		this.told('saving');
		try {
			await saveDraft(this.id, await this.content());
			this.failed = false;
			if (!this.dirty) {
				this.told('saved', new Date());
			}
		} catch (e) {
			if (e instanceof Refused && e.code === 'completed') {
				this.ended = true;
				this.told('done', e);
			} else {
				this.dirty = this.failed = true;
				this.told('unsaved', e);
			}
		}
		this.busy = false;
		if (this.failed) {
			this.later(again);
		} else if (this.dirty) {
			this.write();
		}
		this.waiters.splice(0).forEach((f) => f());
	}

	// hold lets no further write begin, and waits for the one that is on its way: a
	// form that is being submitted is not written as a draft beside it.
	async hold() {
		this.held = true;
		if (this.busy) {
			await new Promise((done) => this.waiters.push(done));
		}
	}

	// release goes on writing.
	release() {
		this.held = false;
		this.write();
	}

	// stop ends the writing, once what is on its way has arrived.
	async stop() {
		clearTimeout(this.timer);
		this.ended = true;
		if (this.busy) {
			await new Promise((done) => this.waiters.push(done));
		}
	}
}

export const newID = () => crypto.randomUUID();
