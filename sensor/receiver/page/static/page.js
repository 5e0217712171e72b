// SPDX-License-Identifier: Apache-2.0
// The page works without this. With it, what is shown follows what is stored: the same address is fetched
// again and only what differs is changed, so that focus, selection, scroll and open details stay.
"use strict";
(() => {
  const root = document.documentElement;
  const form = document.getElementById("filters");
  const toggle = document.getElementById("live");
  const word = document.getElementById("live-word");
  const said = document.getElementById("said");
  let latest = 0; // the newest fetch; an older answer is not shown
  let busy = false;
  let wanted = false;
  let last = 0;
  let rest = 1000;
  let spoken = 0;

  root.classList.add("script");

  function same(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);
  }
  function key(node) {
    return node.nodeType === 1 ? node.dataset.key || node.id || "" : "";
  }
  function attributes(old, now) {
    for (const { name } of [...old.attributes]) {
      if (!now.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of now.attributes) {
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }
  // Make the children of `old` those of `now`. A file that was chosen for an upload stays as it is.
  function morph(old, now, fresh) {
    const keyed = new Map([...old.children].filter((c) => c.dataset.key).map((c) => [c.dataset.key, c]));
    let at = old.firstChild;
    for (const next of [...now.childNodes]) {
      const name = next.nodeType === 1 ? next.dataset.key : "";
      let match = name ? keyed.get(name) : null;
      if (name && !match) {
        const added = document.importNode(next, true);
        if (fresh && added.nodeName === "TR") added.classList.add("fresh");
        old.insertBefore(added, at);
        continue;
      }
      if (match && match !== at) old.insertBefore(match, at);
      match = match || (at && same(at, next) ? at : null);
      if (!match) {
        old.insertBefore(document.importNode(next, true), at);
        continue;
      }
      at = match.nextSibling;
      if (match.nodeType === 3) {
        if (match.data !== next.data) match.data = next.data;
      } else if (match.nodeType === 1 && match.nodeName !== "FORM" && !match.isEqualNode(next)) {
        attributes(match, next);
        morph(match, next, fresh);
      }
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }

  function total(from) {
    const shown = from.querySelector(".pager p");
    return shown ? shown.textContent.trim() : "";
  }
  function speak(text, least) {
    if (text && Date.now() - spoken >= least && said.textContent !== text) {
      spoken = Date.now();
      said.textContent = text;
    }
  }
  function place() {
    return location.pathname + location.search;
  }

  async function show(address, options) {
    const mine = ++latest;
    const began = performance.now();
    const answer = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== latest) return;
    const before = total(document);
    const regions = [...document.querySelectorAll("[data-live]")];
    if (regions.length !== page.querySelectorAll("[data-live]").length) {
      location.reload(); // the first report came
      return;
    }
    for (const region of regions) {
      const now = page.getElementById(region.id);
      if (now) morph(region, now, options.live);
    }
    if (!options.live) {
      const nav = page.querySelector(".top ul");
      if (nav) morph(document.querySelector(".top ul"), nav, false);
    }
    // A slow receiver is asked less often.
    rest = Math.max(1000, 4 * (performance.now() - began));
    const after = total(document);
    if (options.live && after !== before) speak(`Refreshed: ${after}`, 10000);
    if (!options.live) speak(after || "Nothing matches", 0);
  }

  // ---- live
  async function refresh() {
    if (busy || document.hidden || toggle.getAttribute("aria-pressed") !== "true") {
      wanted = true;
      return;
    }
    busy = true;
    wanted = false;
    await new Promise((done) => setTimeout(done, Math.max(0, last + rest - Date.now())));
    last = Date.now();
    try {
      await show(place(), { live: true });
    } catch {
      // the next event asks again
    }
    busy = false;
    if (wanted && !document.hidden) refresh();
  }
  function state(pressed, away) {
    toggle.setAttribute("aria-pressed", String(pressed));
    toggle.classList.toggle("away", away);
    word.textContent = pressed ? (away ? "Reconnecting" : "Live") : "Paused";
  }
  if (toggle && document.querySelector("[data-live]") && "EventSource" in window) {
    toggle.hidden = false;
    let version = null;
    const events = new EventSource("/events");
    events.addEventListener("hello", (event) => {
      state(toggle.getAttribute("aria-pressed") === "true", false);
      if (version !== null && version !== event.data) refresh();
      version = event.data;
    });
    events.addEventListener("changed", (event) => {
      version = event.data;
      refresh();
    });
    events.addEventListener("error", () => state(toggle.getAttribute("aria-pressed") === "true", true));
    toggle.addEventListener("click", () => {
      const pressed = toggle.getAttribute("aria-pressed") !== "true";
      state(pressed, false);
      speak(pressed ? "Live" : "Paused", 0);
      if (pressed) refresh();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && wanted) refresh();
    });
    addEventListener("pagehide", () => events.close());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  // ---- ages
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  function ago(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    for (const [unit, size] of units) if (whole >= size) return `${Math.floor(whole / size)} ${unit} ago`;
    return whole < 10 ? "just now" : `${whole} s ago`;
  }
  setInterval(() => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll("time[datetime]")) {
      const at = Date.parse(time.dateTime);
      const text = ago((Date.now() - at) / 1000);
      if (!Number.isNaN(at) && time.textContent !== text) time.textContent = text;
    }
  }, 5000);

  // ---- filters, without leaving the page
  const more = document.getElementById("more");
  if (more && matchMedia("(max-width: 44rem)").matches && !document.querySelector(".chips")) more.open = false;
  let typing = 0;
  function address() {
    const asked = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) asked.append(name, value);
    const query = asked.toString();
    return form.getAttribute("action") + (query ? `?${query}` : "");
  }
  async function filter() {
    const next = address();
    if (next === place()) return;
    try {
      await show(next, { live: false });
      history.replaceState(null, "", next);
    } catch {
      location.assign(next); // shows what is wrong
    }
  }
  if (form) {
    const changed = (event) => {
      clearTimeout(typing);
      typing = setTimeout(filter, event.target.matches("input[type=search], input[type=text]") ? 250 : 0);
    };
    form.addEventListener("input", changed);
    form.addEventListener("change", changed);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(typing);
      filter();
    });
  }
})();
