
// Keys of the queue: j and k go on and back, Enter opens; on an item 1, 2, ...
// choose a side, o another value, a asks the field, u takes a decision back.
// Whoever types into a field, or holds a modifier, means something else.
(() => {
  // The menu is one row on narrow screens: where we are is in sight.
  const here = document.querySelector(".menu [aria-current]");
  if (here) {
    const row = here.closest("ul");
    row.scrollLeft += here.getBoundingClientRect().left - row.getBoundingClientRect().left - 48;
  }
  // That something was not done is said once, not whenever the page is loaded anew.
  const address = new URL(location.href);
  if (address.searchParams.has("not_done")) {
    address.searchParams.delete("not_done");
    history.replaceState(history.state, "", address);
  }
  const go = (id) => { const el = document.getElementById(id); if (el) el.click(); return Boolean(el); };
  const pick = (id) => {
    const el = document.getElementById(id);
    if (!el) return false;
    el.checked = true;
    (id === "pick-o" && document.getElementById("value") || document.getElementById("reason")).focus();
    return true;
  };
  const step = (by) => {
    const all = [...document.querySelectorAll(".to-item")];
    if (!all.length) return false;
    const at = all.indexOf(document.activeElement);
    all[Math.min(Math.max(at < 0 ? 0 : at + by, 0), all.length - 1)].focus();
    return true;
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.target.closest("input:not([type=radio]), textarea, select")) return;
    let done = false;
    if (e.key === "j") done = step(1) || go("next");
    else if (e.key === "k") done = step(-1) || go("previous");
    else if (e.key >= "1" && e.key <= "9") done = pick("pick-" + e.key);
    else if (e.key === "o" || e.key === "a") done = pick("pick-" + e.key);
    else if (e.key === "u" && document.getElementById("undo")) { document.getElementById("reason").focus(); done = true; }
    else if (e.key === "Escape") done = go("to-list");
    if (done) e.preventDefault();
  });
})();
