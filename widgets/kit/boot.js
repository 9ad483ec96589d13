// The small module of every widget. It fetches the rest of the widget's code over its own connection,
// once per page and module (see page_module.py), however late the kernel answers.

const FIRST_WAIT = 1_500, LONGEST_WAIT = 15_000; // until an unanswered request is repeated
const LATE = 8_000; // until the place of the widget says that it is still loading

// anywidget 0.11 drops every message to a model whose module took over two seconds; ask for the state again.
function recover({ model }) {
  const whole = model.set?.({}); // Backbone's set returns the model itself
  if (!whole?.comm_live) return;
  whole._handle_comm_msg({ content: { data: {} } }).catch(() => {
    let kind = Object.getPrototypeOf(whole);
    while (!Object.hasOwn(kind, "_handle_comm_msg")) kind = Object.getPrototypeOf(kind);
    const handle = Object.getPrototypeOf(kind)._handle_comm_msg; // ipywidgets' own, which waits for nothing
    whole.comm.on_msg((message) => handle.call(whole, message));
    whole.comm.send({ method: "request_state" }, whole.callbacks()); // the state that was dropped
    console.info("[qtha-lab] A widget that loaded late has recovered.");
  });
}

function modules() {
  globalThis.__qthaModules ??= new Map();
  return globalThis.__qthaModules;
}

// The code of this widget; a promise that is resolved by whichever widget of its kind hears it first.
function code(model) {
  let entry = modules().get(MODULE);
  if (!entry) {
    entry = {};
    entry.ready = new Promise((resolve) => { entry.resolve = resolve; });
    modules().set(MODULE, entry);
  }
  if (!entry.loaded) ask(model, entry);
  return entry.ready;
}

function ask(model, entry) {
  let wait = FIRST_WAIT;
  const heard = (content) => {
    if (content.kind !== "module" || entry.loaded) return;
    entry.loaded = true;
    entry.resolve(new Function(`"use strict";\n${content.source}`)());
  };
  model.on("msg:custom", heard);
  const again = () => {
    if (entry.loaded) { model.off("msg:custom", heard); return; }
    try { model.send({ kind: "module" }); } catch { /* no kernel: what stands beside the widget is shown */ }
    setTimeout(again, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  };
  again();
}

function render({ model, el }) {
  let close, closed = false;
  const hide = () => { el.style.display = model.get("visible") === false ? "none" : ""; };
  model.on("change:visible", hide);
  hide();
  const late = setTimeout(() => {
    el.textContent = "This panel is still loading. Reload the page if it stays empty.";
  }, LATE);
  code(model).then((part) => {
    clearTimeout(late);
    if (closed) return;
    el.textContent = "";
    close = part.render({ model, el });
  });
  return () => { closed = true; clearTimeout(late); model.off("change:visible", hide); close?.(); };
}

export default { initialize: recover, render };
