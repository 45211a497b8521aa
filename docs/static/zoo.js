// What scrolls must be reachable by keyboard.
function reachable() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, .math-wrapper")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  }
}

addEventListener("DOMContentLoaded", reachable);
addEventListener("resize", reachable);
addEventListener("change", reachable); // another tab
