// "Saved" is said only after the agent said so.
export function Done({ done, words, title, back }) {
	return (
		<section class="card done" role="status">
			<p class="chip ok"><Tick /><strong>{words.t('done.saved')}</strong></p>
			<p>{title}</p>
			<p class="soft">{words.t('done.as', { dot: done.dot })}</p>
			{(done.warnings ?? []).map((w) => <p class="warn">{w.what}</p>)}
			{back && <a class="button big" id="onward" href={back.url}>{words.t('onward', { name: back.name })}</a>}
			<a class={back ? 'button plain big' : 'button big'} href="/">{words.t('home')}</a>
		</section>
	);
}

export const Tick = () => (
	<svg class="shape" viewBox="0 0 24 24" aria-hidden="true">
		<path fill-rule="evenodd" d="M12 1a11 11 0 1 0 0 22 11 11 0 0 0 0-22zm-1.6 16.2-5-5 2.1-2.1 2.9 2.9 6.1-6.1 2.1 2.1z" />
	</svg>
);
