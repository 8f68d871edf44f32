package webuitest

// inspect is a JavaScript function from Rules to a list of what breaks them.
const inspect = `(rules) => {
  const found = [], seen = new Set();
  const say = (s) => { if (!seen.has(s)) { seen.add(s); found.push(s); } };
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    say("scrolls sideways: " + root.scrollWidth + " of " + root.clientWidth);
    for (const e of document.body.querySelectorAll("*"))
      if (e.getBoundingClientRect().right > root.clientWidth + 1) say("  too wide: " + e.tagName + "." + e.className);
  }
  const rgb = (s) => { const m = s.match(/[\d.]+/g).map(Number); return { c: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
  const lum = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const g = rgb(getComputedStyle(e).backgroundColor); if (g.a > .99) return g.c; } return [255, 255, 255]; };
  const shown = (e) => e.checkVisibility() && !e.closest(".visually-hidden, .skip") && e.getClientRects().length > 0 && getComputedStyle(e).clipPath === "none" && !(e.closest("thead") && getComputedStyle(e.closest("thead")).clipPath !== "none");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode());) {
    const e = n.parentElement, text = n.data.trim();
    if (!text || !shown(e) || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(e.tagName)) continue;
    const s = getComputedStyle(e), size = parseFloat(s.fontSize);
    if (size < rules.MinText) say("text of " + size + " px: " + text.slice(0, 40));
    const a = lum(rgb(s.color).c), b = lum(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < rules.Contrast) say("contrast " + ratio.toFixed(1) + ": " + text.slice(0, 40));
  }
  for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")) {
    if (!shown(e)) continue;
    const label = e.closest("label");
    const r = (label || e).getBoundingClientRect();
    if (r.height < rules.MinTarget - .5 || r.width < rules.MinTarget - .5) say("target of " + Math.round(r.width) + "x" + Math.round(r.height) + ": " + e.textContent.trim().slice(0, 40));
    const named = document.getElementById(e.getAttribute("aria-labelledby") || " ");
    if (!(e.getAttribute("aria-label") || e.textContent.trim() || (named || label || e.labels?.[0])?.textContent.trim())) say("a target without a name: " + e.outerHTML.slice(0, 60));
  }
  for (const c of document.querySelectorAll(".chip")) if (shown(c) && !c.textContent.trim()) say("a state without a word");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.filter((i) => i === id).length > 1) say("id twice: " + id);
  for (const e of document.querySelectorAll("[data-live]")) if (!e.id) say("data-live without an id");
  if (document.body.innerText.match(/\[[a-z_]+\.[a-z_.]+\]/)) say("a string is missing: " + RegExp.lastMatch);
  return found;
}`
