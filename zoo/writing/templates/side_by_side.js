"use strict";
{
  const { places, inside, facts } = JSON.parse(document.getElementById("data").textContent);
  const panes = [...document.querySelectorAll(".pane")];
  const buttons = [...document.querySelectorAll("nav button")];
  const output = document.querySelector("nav output");
  const main = document.querySelector("main");
  const layers = [...document.querySelectorAll("[data-layer]")];
  const boxes = [...document.querySelectorAll(".picture [data-name]")];
  const narrow = matchMedia("(max-width: 56rem)");
  const shown = new Set(panes.map((pane) => pane.id));
  let chosen = panes[0].id;
  let pinned = [];

  // Which columns there are: those whose buttons are pressed, or one on a narrow screen.
  function arrange() {
    for (const pane of panes) {
      pane.classList.toggle("chosen", pane.id === chosen);
      pane.hidden = !narrow.matches && !shown.has(pane.id);
    }
    for (const button of buttons) {
      const id = "pane-" + button.dataset.pane;
      button.setAttribute("aria-pressed", narrow.matches ? id === chosen : shown.has(id));
    }
    // No column is narrower than some 45 characters; those that do not fit are in further rows.
    const rows = Math.ceil(shown.size / Math.max(1, Math.floor(main.clientWidth / 330)));
    main.style.setProperty("--columns", Math.ceil(shown.size / rows));
  }
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const id = "pane-" + button.dataset.pane;
      if (narrow.matches) chosen = id;
      else if (shown.has(id) && shown.size > 1) shown.delete(id);
      else shown.add(id);
      arrange();
      if (pinned.length) reveal(pinned.at(-1), null);
    });
  }
  addEventListener("resize", arrange);
  arrange();

  const within = (place, group) => place === group || place.startsWith(group + ".");

  // Highlight the last of several places, and less so those that lead to it.
  function light(chain) {
    const own = chain.at(-1);
    for (const layer of layers) {
      const place = layer.dataset.layer;
      layer.classList.toggle("lit", own !== undefined && within(place, own));
      layer.classList.toggle("around", chain.slice(0, -1).includes(place));
    }
    for (const box of boxes) {
      const name = box.dataset.name;
      const path = places[name] || [];
      const lit = own !== undefined && path.length > 0 && within(path.at(-1), own);
      const part = own !== undefined && (inside[name] || []).some((place) => within(place, own));
      box.classList.toggle("lit", lit);
      box.classList.toggle("around", !lit && part);
    }
    output.textContent = own === undefined ? "" : facts[own] || own;
  }

  // Scroll every other column to the first part that is highlighted.
  function reveal(place, except) {
    for (const pane of panes) {
      if (pane === except || !pane.offsetParent) continue;
      const found = pane.querySelector(".lit") || pane.querySelector("[data-name].around");
      const area = pane.querySelector("pre, .picture");
      if (!found) continue;
      const from = area.getBoundingClientRect();
      const to = found.getBoundingClientRect();
      area.scrollTop += to.top - from.top - area.clientHeight / 3;
      const left = to.left - from.left + area.scrollLeft;
      area.scrollLeft = left < area.clientWidth - 40 ? 0 : left - 40;
    }
  }

  function chainOf(target) {
    const layer = target.closest("[data-layer]");
    if (layer) return [layer.dataset.layer];
    const box = target.closest(".picture [data-name]");
    return box ? places[box.dataset.name] || [] : null;
  }

  main.addEventListener("mouseover", (event) => light(chainOf(event.target) || pinned));
  main.addEventListener("mouseleave", () => light(pinned));
  main.addEventListener("click", (event) => {
    if (event.target.closest("a")) return;
    pinned = chainOf(event.target) || [];
    light(pinned);
    if (pinned.length) reveal(pinned.at(-1), event.target.closest(".pane"));
  });

  // By keyboard: in a column, n and p go to the next and the previous layer; Escape ends it.
  main.addEventListener("keydown", (event) => {
    const pane = event.target.closest(".pane");
    if (event.key === "Escape") {
      pinned = [];
      light(pinned);
    } else if ((event.key === "n" || event.key === "p") && !event.ctrlKey && !event.metaKey) {
      const name = (one) => one.dataset.layer || one.dataset.name;
      const own = [...pane.querySelectorAll("[data-layer], [data-name]")].filter((one, n, all) => {
        return (one.dataset.layer || places[one.dataset.name]) && name(one) !== name(all[n - 1] || pane);
      });
      if (!own.length) return;
      const step = event.key === "n" ? 1 : -1;
      const before = own.findIndex((one) => one.classList.contains("here"));
      const next = before < 0 ? (step > 0 ? 0 : own.length - 1) : before + step;
      const found = own[(next + own.length) % own.length];
      for (const one of own) one.classList.toggle("here", one === found);
      pinned = chainOf(found);
      light(pinned);
      found.scrollIntoView({ block: "nearest", inline: "nearest" });
      reveal(pinned.at(-1), pane);
    }
  });
}
