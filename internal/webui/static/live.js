// Keeps a page true to its server. When the server says "refresh", the same
// page is fetched again and every element marked data-live that differs is
// replaced. When nothing is heard for a while, the page greys and says from
// when it is. The page's body carries data-events (address of the stream); the
// element data-asof carries the time that the shown data is of.
"use strict";
(() => {
  const events = document.body.dataset.events;
  const bar = document.getElementById("stale");
  if (!events || !bar || !window.EventSource) return;

  const SILENT = 40000, AGAIN = 55000;
  let heard = Date.now(), fetched = Date.now();
  let busy = false, more = false, source = null;

  function stale(on) {
    document.body.classList.toggle("is-stale", on);
    if (on && bar.hidden) {
      const shown = document.querySelector("[data-asof]");
      bar.querySelector("span").textContent =
        bar.dataset.text.replace("{at}", shown ? shown.dataset.asof : "");
    }
    bar.hidden = !on;
  }

  // Whether somebody changed it and has not sent it.
  function changed(e) {
    if (e.matches("[type=radio], [type=checkbox]")) return e.checked !== e.defaultChecked;
    if (!e.matches("select")) return e.value !== e.defaultValue;
    const options = [...e.options];
    const first = e.multiple || options.some((o) => o.defaultSelected) ? -1 : 0; // a browser chooses it by itself
    return options.some((o, i) => o.selected !== (o.defaultSelected || i === first));
  }

  // Whether there is something in a form that would be lost.
  function typed(within) {
    return [...within.querySelectorAll("input:not([type=hidden]), textarea, select")].some(changed);
  }

  // Whoever types, or has chosen something, is not disturbed; a later change catches up.
  function inUse(region) {
    const at = document.activeElement;
    return typed(region) || region.contains(at) && at.matches("textarea, select, input:not([type=radio], [type=checkbox])");
  }

  // Whether a region differs from how it was in more than the time of its data, which
  // it takes over either way: what is read aloud is read again only when it is another.
  function differs(now, then) {
    const at = then.dataset.asof;
    if (at === undefined || now.dataset.asof === undefined) return now.outerHTML !== then.outerHTML;
    now.dataset.asof = at;
    return now.outerHTML !== then.outerHTML;
  }

  function swap(next) {
    const focused = document.activeElement && document.activeElement.id;
    for (const now of document.querySelectorAll("[data-live]")) {
      const then = next.getElementById(now.id);
      if (!then || inUse(now)) continue;
      for (const d of now.querySelectorAll("details[id]")) {
        const same = then.querySelector("#" + CSS.escape(d.id));
        if (same) same.open = d.open;
      }
      if (differs(now, then)) now.replaceWith(document.adoptNode(then));
    }
    const again = focused && document.getElementById(focused);
    if (again && again !== document.activeElement) again.focus({ preventScroll: true });
  }

  async function refresh() {
    if (busy) { more = true; return; }
    busy = true;
    try {
      do {
        more = false;
        const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
        if (answer.redirected) { // this page is not for whoever looks any more
          if (!typed(document)) return location.reload();
          throw new Error("moved");
        }
        if (!answer.ok) throw new Error(String(answer.status));
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
        fetched = heard = Date.now();
        stale(false);
      } while (more);
    } catch {
      stale(true);
    } finally {
      busy = false;
    }
  }

  function listen() {
    source = new EventSource(events);
    source.addEventListener("refresh", () => { heard = Date.now(); refresh(); });
    source.addEventListener("beat", () => {
      heard = Date.now();
      if (!bar.hidden || heard - fetched > AGAIN) refresh();
    });
  }

  // A browser gives up on a stream that was refused once; this does not.
  setInterval(() => {
    if (source.readyState === EventSource.CLOSED) listen();
    if (Date.now() - heard > SILENT) stale(true);
  }, 5000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  listen();

  // A form that takes its time says so and goes through without leaving the page.
  document.addEventListener("submit", async (e) => {
    const form = e.target, button = form.querySelector("button[data-busy]");
    if (!button) return;
    e.preventDefault();
    const words = button.querySelector("span"), before = words.textContent;
    button.disabled = true;
    words.textContent = button.dataset.busy;
    try {
      await fetch(form.action, { method: "POST", credentials: "same-origin", body: new URLSearchParams(new FormData(form)) });
    } catch { /* the refresh tells */ }
    button.disabled = false;
    words.textContent = before;
    refresh();
  });
})();
