// What ipywidgets cannot tell a screen reader, kept true while the page changes: names of slider handles,
// folds open or shut, groups, icons that are no words; and a live region in which news is said. And where to look.
const SETTLES = 3_000; // in which what is above a part that is brought into sight is drawn

function complete(root) {
  for (const handle of root.querySelectorAll(".noUi-handle")) {
    const label = handle.closest(".widget-slider")?.querySelector(".widget-label");
    set(handle, "aria-label", label?.textContent || "value");
  }
  for (const button of root.querySelectorAll(".qtha-fold > .qtha-fold-head > .widget-toggle-button")) {
    set(button, "aria-expanded", String(button.classList.contains("mod-active")));
  }
  for (const icon of root.querySelectorAll("button > i")) set(icon, "aria-hidden", "true");
  for (const group of root.querySelectorAll(".qtha-group")) {
    const title = group.querySelector("h3, .widget-toggle-button");
    set(group, "role", "group");
    set(group, "aria-label", title?.textContent.trim() || "settings");
  }
}

function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function outermost(element) {
  const around = element.parentElement?.closest(".widget-box");
  return around ? outermost(around) : element;
}

// A part at the top of the window, again and again while what is above it is still drawn; a person who scrolls has the say.
function bring(root, css) {
  const show = new ResizeObserver(() => root.querySelector(`.${css}`)?.scrollIntoView({ block: "start" }));
  const end = () => show.disconnect();
  show.observe(root);
  setTimeout(end, SETTLES);
  for (const hand of ["wheel", "pointerdown", "keydown"]) root.addEventListener(hand, end, { once: true });
}

function render({ model, el }) {
  const region = document.createElement("div");
  region.className = "qtha-hidden";
  region.setAttribute("role", "status");
  el.append(region);
  const say = () => { region.textContent = model.get("sentence"); };
  const heard = ({ css }) => bring(outermost(el), css);
  model.on("change:sentence", say);
  model.on("msg:custom", heard);

  let observer;
  const frame = requestAnimationFrame(() => {  // until then this element stands alone
    const root = outermost(el);
    observer = new MutationObserver(() => complete(root));
    observer.observe(root, { subtree: true, childList: true, attributeFilter: ["class"] });
    complete(root);
  });
  return () => { cancelAnimationFrame(frame); observer?.disconnect(); model.off("change:sentence", say); model.off("msg:custom", heard); };
}

export default { initialize: recover, render };
