// What Furo and sphinx-design leave to the mouse works by keyboard, too.

// A box that scrolls can be reached, so that arrow keys scroll it.
function makeReachable() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, .math-wrapper")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) {
      box.tabIndex = 0;
    } else {
      box.removeAttribute("tabindex");
    }
  }
}

// Furo's menus are labels of hidden checkboxes, which only a click changes.
function makeButton(icon) {
  const box = document.getElementById(icon.parentElement.htmlFor);
  const show = () => icon.setAttribute("aria-expanded", box.checked);
  icon.tabIndex = 0;
  icon.setAttribute("role", "button");
  icon.setAttribute("aria-label", box.getAttribute("aria-label") || "Show what is below");
  icon.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      box.click();
    }
  });
  box.addEventListener("change", show);
  show();
}

function closeMenus(event) {
  if (event.key !== "Escape") return;
  for (const box of document.querySelectorAll(".sidebar-toggle:checked")) box.click();
}

addEventListener("DOMContentLoaded", () => {
  makeReachable();
  document.querySelectorAll("label[for^='__'] .icon, .toctree-checkbox ~ label .icon").forEach(makeButton);
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Site");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
});
addEventListener("load", makeReachable);
addEventListener("resize", makeReachable);
addEventListener("change", makeReachable); // of a tab
addEventListener("keydown", closeMenus);
