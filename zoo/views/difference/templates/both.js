"use strict";
{
  // A box that is pointed at is marked on both sides; a click scrolls the other side to it.
  const boxes = [...document.querySelectorAll(".side g.box")];
  const sides = [...document.querySelectorAll(".side")];
  const main = document.querySelector("main");
  const start = (name) => name.replace(/(\d+)-\d+$/, "$1"); // of repeated blocks, the first
  const named = (target) => target.closest("g.box")?.dataset.name;
  main.addEventListener("mouseover", (event) => {
    const name = named(event.target);
    for (const box of boxes) {
      box.classList.toggle("here", name !== undefined && start(box.dataset.name) === start(name));
    }
  });
  main.addEventListener("click", (event) => {
    const name = named(event.target);
    const other = sides.find((side) => !side.contains(event.target));
    const box = name && [...other.querySelectorAll("g.box")].find((one) => {
      return start(one.dataset.name) === start(name);
    });
    if (!box) return;
    const from = other.getBoundingClientRect();
    other.scrollTop += box.getBoundingClientRect().top - from.top - other.clientHeight / 3;
  });
}
