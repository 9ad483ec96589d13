// A native range slider over a list: arrow keys, Home, End, PageUp and PageDown, and its name come with it.

const STYLE = `
.qtha-slider { display: flex; align-items: center; gap: 8px; font-size: 13px; color: var(--jp-ui-font-color1); }
.qtha-slider > span { flex: 0 0 auto; min-width: 72px; text-align: right; }
.qtha-slider > input { flex: 1 1 120px; min-width: 60px; height: 44px; margin: 0; accent-color: var(--jp-brand-color1); cursor: pointer; }
.qtha-slider > input:focus-visible { outline: 2px solid var(--jp-brand-color1); outline-offset: -6px; border-radius: 4px; }
.qtha-slider > output { flex: 0 0 auto; min-width: 44px; font-variant-numeric: tabular-nums; }`;

function render({ model, el }) {
  const style = Object.assign(document.createElement("style"), { textContent: STYLE });
  const label = Object.assign(document.createElement("label"), { className: "qtha-slider" });
  const name = document.createElement("span");
  const input = Object.assign(document.createElement("input"), { type: "range", min: 0, step: 1 });
  input.dataset.lmSuppressShortcuts = "true"; // JupyterLab takes arrow keys from what is no text field
  const readout = document.createElement("output");
  readout.setAttribute("aria-hidden", "true"); // the input says it already
  label.append(name, input, readout);
  el.append(style, label);

  const tell = () => {
    readout.textContent = model.get("labels")[input.valueAsNumber] ?? "";
    input.setAttribute("aria-valuetext", readout.textContent);
  };
  const show = () => {
    name.textContent = model.get("description");
    input.max = Math.max(0, model.get("labels").length - 1);
    input.disabled = model.get("labels").length < 2;
    input.value = model.get("index");
    tell();
  };
  const move = () => {
    tell();
    model.set("index", input.valueAsNumber);
    model.save_changes();
  };
  input.addEventListener("input", move);
  for (const trait of ["index", "labels", "description"]) model.on(`change:${trait}`, show);
  show();
  return () => {
    for (const trait of ["index", "labels", "description"]) model.off(`change:${trait}`, show);
  };
}

export default { initialize: recover, render };
