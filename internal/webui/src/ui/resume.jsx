// What was begun and not finished comes first.
export function Resume({ drafts, words, onPick, onDrop }) {
	return (
		<section class="resume">
			<h2>{words.t('resume.title')}</h2>
			{drafts.map((d) => (
				<div class="card" key={d.id}>
					<p>{words.t('resume.from', { at: words.clock(new Date(d.saved_at)) })}</p>
					<button type="button" class="button big" id={`resume-${d.id}`} onClick={() => onPick(d)}>{words.t('resume.go')}</button>
					<button type="button" class="button plain" onClick={() => confirm(words.t('resume.sure')) && onDrop(d)}>{words.t('resume.drop')}</button>
				</div>
			))}
			<button type="button" class="button plain big" onClick={() => onPick(null)}>{words.t('resume.new')}</button>
		</section>
	);
}
