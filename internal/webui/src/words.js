// The page's words, from the agent's catalogues.
export class Words {
	constructor(texts, lang) {
		this.texts = texts;
		this.lang = lang;
	}

	// t returns the wording of key with {slots} filled; an unknown key shows itself.
	t(key, slots = {}) {
		const s = this.texts[key] ?? `[${key}]`;
		return s.replace(/\{([a-z_]+)\}/g, (all, name) => (name in slots ? String(slots[name]) : all));
	}

	// clock writes a time of day as this device's zone has it.
	clock(date) {
		return date.toTimeString().slice(0, 5);
	}
}
