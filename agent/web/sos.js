// The call for help: what was pressed goes out after five seconds, unless it is
// taken back. A call that the program on this phone does not answer is sent
// again until it does, under one name, so that it counts once.
"use strict";
(() => {
  const form = document.getElementById("call"), box = document.getElementById("countdown");
  if (!form || !box) return;
  const words = document.getElementById("countdown-words"), place = document.getElementById("place");
  const stop = document.getElementById("stop"), now = document.getElementById("now");
  let timer = 0, left = 0, body = null, pressed = null;

  if (navigator.geolocation) {
    navigator.geolocation.watchPosition((p) => {
      form.lon.value = p.coords.longitude;
      form.lat.value = p.coords.latitude;
      form.acc.value = p.coords.accuracy;
      form.at.value = Math.round(p.timestamp);
      place.textContent = form.dataset.found.replace("{lat}", p.coords.latitude.toFixed(5)).replace("{lon}", p.coords.longitude.toFixed(5));
    }, () => {}, { enableHighAccuracy: true, maximumAge: 60000, timeout: 30000 });
  }

  function tick() {
    words.textContent = words.dataset.text.replace("{n}", left);
    if (left-- > 0) timer = setTimeout(tick, 1000);
    else send();
  }

  async function send() {
    clearTimeout(timer);
    body = new URLSearchParams(new FormData(form));
    body.set("what", pressed.value);
    body.set("sure", "1");
    words.textContent = words.dataset.sending;
    stop.hidden = now.hidden = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin", signal: AbortSignal.timeout(8000) });
      if (answer.redirected) { location.href = answer.url; return; }
      if (answer.status < 500) { // it says what is wrong
        document.open(); document.write(await answer.text()); document.close();
        return;
      }
    } catch { /* told below */ }
    words.textContent = words.dataset.failed;
    timer = setTimeout(send, 2000);
  }

  form.addEventListener("submit", (e) => {
    e.preventDefault();
    pressed = e.submitter;
    if (!pressed || !pressed.value) return;
    document.getElementById("countdown-what").textContent = pressed.textContent.trim();
    form.hidden = true;
    box.hidden = false;
    stop.hidden = now.hidden = false;
    left = 5;
    stop.focus();
    tick();
  });
  function cancel() {
    clearTimeout(timer);
    box.hidden = true;
    form.hidden = false;
    if (pressed) pressed.focus();
  }
  stop.addEventListener("click", cancel);
  now.addEventListener("click", send);
  document.addEventListener("keydown", (e) => { if (e.key === "Escape" && !box.hidden && !stop.hidden) cancel(); });
})();
