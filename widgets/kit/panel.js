// A panel on the page: controls drawn from plain data, and the entries of a user sent back.
// The other half is panel.py. Changes are numbered; after a gap the page asks for the whole panel.

const LOOK = 20_000; // between two questions whether a change was missed
const FIRST_WAIT = 1_500, LONGEST_WAIT = 20_000; // until an unanswered question is repeated
const WIDE = 820; // pixels from which setup and results stand side by side
const FIND_MODEL = 200; // milliseconds until a widget that is not here yet is looked for again

function make(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children.filter(Boolean));
  return node;
}

function sheet() {
  const sheet = document.getElementById("qtha-sheet") ?? document.head.appendChild(make("style", { id: "qtha-sheet" }));
  if (sheet.textContent !== STYLE) sheet.textContent = STYLE; // of a newer version
}

let counter = 0;
const unique = () => `qtha-${Math.random().toString(36).slice(2, 8)}-${(counter += 1)}`;

// ---- elements ------------------------------------------------------------------------------------

class Node {
  constructor(panel, data, tag = "div", css = "") {
    Object.assign(this, { panel, id: data.id, css, pending: 0, values: {}, flags: new Set() });
    this.dom = make(tag, { className: css });
  }

  // Take changed values; those of an entry that the kernel has not seen yet stay as the user wrote them.
  apply(changes) {
    const { edit, ...news } = changes;
    if (this.pending) {
      if (edit && edit[0] === this.panel.page && edit[1] >= this.pending) this.pending = 0;
      else for (const name of ["value", "index", "unfolded", "shown"]) delete news[name];
    }
    Object.assign(this.values, news);
    if ("classes" in news) this.name();
    if ("visible" in news) this.dom.hidden = !news.visible;
    if ("tooltip" in news) this.dom.title = news.tooltip;
    this.show(news);
  }

  // The classes of the kernel, and those that this page added.
  name() { this.dom.className = [this.css, ...(this.values.classes ?? []), ...this.flags].join(" ").trim(); }
  flag(name, on) {
    if (on) this.flags.add(name); else this.flags.delete(name);
    this.name();
  }

  show() {}
  focus() { (this.dom.matches("button, input") ? this.dom : this.dom.querySelector("button, input, select, textarea"))?.focus(); }
  close() {}

  take(name, value) { this.pending = this.panel.take(this.id, name, value); }
}

class Html extends Node {
  static usual = { value: "" };
  constructor(panel, data) { super(panel, data, "div", "qtha-html"); }
  show(news) { if ("value" in news) this.dom.innerHTML = news.value; }
}

class Status extends Node {
  static usual = { sentence: "" };
  constructor(panel, data) {
    super(panel, data, "div", "qtha-hidden");
    this.dom.setAttribute("role", "status");
  }
  show(news) { if ("sentence" in news) this.dom.textContent = news.sentence; }
}

class Box extends Node {
  static usual = { children: [] };
  constructor(panel, data, tag = "div", css = "qtha-box") { super(panel, data, tag, css); this.place = this.dom; this.own = []; }
  show(news) {
    if ("classes" in news) this.role(news.classes);
    if ("children" in news) this.own = this.panel.fill(this.place, this.own, news.children);
  }
  role(classes) {
    if (!classes.includes("qtha-group")) return;
    this.dom.setAttribute("role", "group");
    const title = this.values.title ?? "";
    this.dom.setAttribute("aria-label", title || "settings");
  }
  close() { for (const node of this.own) this.panel.drop(node); this.own = []; }
}

class Fold extends Box {
  static usual = { children: [], beside: [], title: "", note: "", unfolded: false, more: false };
  constructor(panel, data) {
    super(panel, data, "div", "qtha-fold");
    this.title = make("span", { className: "qtha-fold-title" });
    this.note = make("span", { className: "qtha-fold-note" });
    this.button = make("button", { type: "button" }, this.title, " ", this.note);
    this.tools = make("div", { className: "qtha-tools" });
    this.place = make("div", { className: "qtha-folded", hidden: true });
    this.dom.append(make("div", { className: "qtha-fold-head" }, this.button, this.tools), this.place);
    this.button.addEventListener("click", () => {
      this.open(!this.values.unfolded);
      this.take("unfolded", this.values.unfolded);
    });
    this.tooled = [];
  }
  show(news) {
    if ("title" in news) { this.title.textContent = this.title.title = news.title; this.role(this.values.classes ?? []); }
    if ("note" in news) { this.note.textContent = news.note; this.note.hidden = !news.note; }
    if ("more" in news) this.flag("qtha-more", news.more);
    if ("beside" in news) this.tooled = this.panel.fill(this.tools, this.tooled, news.beside);
    if ("children" in news) this.waiting = news.children;
    if ("unfolded" in news) this.open(news.unfolded);
    else if ("children" in news && this.values.unfolded) this.open(true);
    if ("classes" in news) this.role(news.classes);
  }
  open(open) { // what is folded is made when it is seen first
    this.values.unfolded = open;
    this.button.setAttribute("aria-expanded", String(open));
    this.place.hidden = !open;
    if (open && this.waiting) { this.own = this.panel.fill(this.place, this.own, this.waiting); this.waiting = undefined; }
  }
  focus() { this.button.focus(); }
  close() { super.close(); for (const node of this.tooled) this.panel.drop(node); }
}

class Tabs extends Box {
  static usual = { children: [], titles: [], shown: "" };
  constructor(panel, data) {
    super(panel, data, "div", "qtha-tabs");
    this.list = make("div", { className: "qtha-tablist" });
    this.list.setAttribute("role", "tablist");
    this.place = make("div", { className: "qtha-panes" });
    this.dom.append(this.list, this.place);
    this.list.addEventListener("keydown", (event) => this.key(event));
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(this.dom);
  }
  get seen() {
    const { titles, shown } = this.values;
    return this.wide && shown === "Setup" ? titles[1] : shown;
  }
  fit() {
    const wide = this.dom.clientWidth >= WIDE;
    if (wide === this.wide || !this.dom.clientWidth) return;
    this.wide = wide;
    this.flag("qtha-wide", wide);
    this.choose();
  }
  show(news) {
    if ("titles" in news) {
      this.buttons = news.titles.map((title) => {
        const button = make("button", { type: "button", textContent: title, id: unique() });
        button.setAttribute("role", "tab");
        button.dataset.pane = title;
        button.dataset.lmSuppressShortcuts = "true";
        button.addEventListener("click", () => this.pick(title));
        return button;
      });
      this.list.replaceChildren(...this.buttons);
    }
    super.show(news);
    this.choose();
  }
  pick(title) {
    this.values.shown = title;
    this.choose();
    this.take("shown", title);
  }
  choose() {
    const { titles = [] } = this.values, seen = this.seen;
    this.dom.dataset.shown = seen;
    this.own.forEach((node, i) => {
      const title = titles[i], stays = this.wide && title === "Setup";
      node.dom.hidden = title !== seen && !stays;
      node.dom.dataset.pane = title;
      node.dom.setAttribute("role", stays ? "region" : "tabpanel");
      node.dom.setAttribute("aria-label", title);
    });
    for (const button of this.buttons ?? []) {
      const chosen = button.dataset.pane === seen;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      button.hidden = this.wide && button.dataset.pane === "Setup" && this.dom.classList.contains("qtha-page");
    }
  }
  key(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    if (!(event.key in steps)) return;
    const buttons = this.buttons.filter((button) => !button.hidden);
    const at = buttons.findIndex((button) => button.dataset.pane === this.seen);
    const next = buttons[(at + steps[event.key] + buttons.length) % buttons.length];
    this.pick(next.dataset.pane);
    next.focus();
    event.preventDefault();
    event.stopPropagation();
  }
  close() { this.resized.disconnect(); super.close(); }
}

class Button extends Node {
  static usual = { description: "", icon: "", disabled: false, primary: false };
  constructor(panel, data) {
    super(panel, data, "button", "qtha-button");
    this.dom.type = "button";
    this.dom.addEventListener("click", () => this.take("click", true));
  }
  take(name, value) { this.panel.take(this.id, name, value); } // a click leaves nothing to wait for
  show(news) {
    const { description, icon } = this.values;
    if ("description" in news || "icon" in news) {
      const sign = icon ? make("i", { className: `fa fa-${icon}`, ariaHidden: "true" }) : "";
      this.dom.replaceChildren(...[sign, description].filter(Boolean));
    }
    if ("tooltip" in news && !description && news.tooltip) this.dom.setAttribute("aria-label", news.tooltip);
    if ("disabled" in news) this.dom.disabled = news.disabled;
    if ("primary" in news) this.flag("mod-primary", news.primary);
  }
  focus() { this.dom.focus(); }
}

class Control extends Node {
  static usual = { description: "", code: "", help: "", note: "", error: "", disabled: false, switch: false };
  constructor(panel, data, input, css) {
    super(panel, data, "div", `qtha-control ${css}`);
    this.input = input;
    input.id = unique();
    input.dataset.lmSuppressShortcuts = "true";
    this.label = make("label", { htmlFor: input.id });
    this.ask = make("button", { type: "button", className: "qtha-ask", textContent: "?", hidden: true });
    this.hint = make("p", { className: "qtha-hint", hidden: true, id: unique() });
    this.fault = make("p", { className: "qtha-fault", hidden: true, id: unique() });
    this.note = make("p", { className: "qtha-control-note", hidden: true });
    this.ask.addEventListener("click", () => {
      this.hint.hidden = !this.hint.hidden;
      this.ask.setAttribute("aria-expanded", String(!this.hint.hidden));
    });
    this.ask.setAttribute("aria-expanded", "false");
    this.head = make("span", { className: "qtha-label" }, this.label, this.ask);
    this.dom.append(this.head, input, this.note, this.hint, this.fault);
  }
  show(news) {
    const { description, code, help, error } = this.values;
    if ("description" in news) {
      this.label.textContent = description;
      this.head.hidden = !description;
      this.ask.setAttribute("aria-label", `help on ${description}`);
    }
    if ("note" in news) { this.note.textContent = news.note; this.note.hidden = !news.note; }
    if ("help" in news) { this.hint.textContent = help; this.ask.hidden = !help; }
    if ("code" in news || "help" in news || "tooltip" in news) {
      const words = [code, help || this.values.tooltip].filter(Boolean).join(": ");
      this.dom.title = "";
      this.label.title = this.input.title = words;
    }
    if ("error" in news) {
      this.fault.textContent = error;
      this.fault.hidden = !error;
      this.flag("qtha-wrong", Boolean(error));
      if (error) { this.input.setAttribute("aria-invalid", "true"); this.input.setAttribute("aria-describedby", this.fault.id); }
      else { this.input.removeAttribute("aria-invalid"); this.input.removeAttribute("aria-describedby"); }
    }
    if ("disabled" in news) this.input.disabled = news.disabled;
  }
  focus() { this.input.focus(); }
}

class Text extends Control {
  static usual = { ...Control.usual, value: "", placeholder: "", continuous_update: false, rows: 1, options: [] };
  constructor(panel, data) {
    const high = (data.rows ?? 1) > 1;
    super(panel, data, high ? make("textarea", { rows: data.rows }) : make("input", { type: "text" }), "qtha-entry");
    this.input.autocomplete = "off";
    this.input.spellcheck = false;
    this.input.addEventListener("input", () => {
      this.dirty = true;
      if (this.values.continuous_update) this.commit();
    });
    this.input.addEventListener("change", () => this.commit());
    if (!high) this.input.addEventListener("keydown", (event) => { if (event.key === "Enter") this.commit(); });
    this.input.addEventListener("blur", () => { this.dirty = false; });
  }
  commit() {
    this.dirty = false;
    if (this.input.value === this.values.value && !this.pending) return;
    this.values.value = this.input.value;
    this.take("value", this.input.value);
  }
  show(news) {
    super.show(news);
    if ("value" in news && !this.dirty && this.input.value !== news.value) this.input.value = news.value;
    if ("placeholder" in news) this.input.placeholder = news.placeholder;
    if ("options" in news && news.options.length) {
      this.list ??= make("datalist", { id: unique() });
      this.list.replaceChildren(...news.options.map((value) => make("option", { value })));
      this.dom.append(this.list);
      this.input.setAttribute("list", this.list.id);
    }
  }
}

class NumberField extends Control {
  static usual = { ...Control.usual, value: 0, min: 0, max: 100, step: 1 };
  constructor(panel, data) {
    super(panel, data, make("input", { type: "number" }), "qtha-entry qtha-number");
    this.input.addEventListener("change", () => this.take("value", this.input.valueAsNumber || 0));
  }
  show(news) {
    super.show(news);
    for (const name of ["min", "max", "step"]) if (name in news) this.input[name] = news[name];
    if ("value" in news && document.activeElement !== this.input) this.input.value = news.value;
    else if ("value" in news && Number(this.input.value) !== news.value) this.input.value = news.value;
  }
}

class Select extends Control {
  static usual = { ...Control.usual, options: [], value: -1 };
  constructor(panel, data) {
    super(panel, data, make("select"), "qtha-entry qtha-select");
    this.input.addEventListener("change", () => {
      this.values.value = this.input.selectedIndex;
      this.take("value", this.input.selectedIndex);
    });
  }
  show(news) {
    super.show(news);
    if ("options" in news) this.input.replaceChildren(...news.options.map((text) => make("option", { textContent: text })));
    if ("options" in news || "value" in news) this.input.selectedIndex = this.values.value;
  }
}

class Checkbox extends Control {
  static usual = { ...Control.usual, value: false };
  constructor(panel, data) {
    super(panel, data, make("input", { type: "checkbox" }), "qtha-check");
    this.dom.prepend(this.input);
    this.input.addEventListener("change", () => this.take("value", this.input.checked));
  }
  show(news) {
    super.show(news);
    if ("value" in news) this.input.checked = news.value;
    if ("switch" in news) {
      if (news.switch) this.input.setAttribute("role", "switch");
      this.flag("qtha-switch", news.switch);
    }
  }
}

class Toggle extends Node {
  static usual = { value: false, description: "", icon: "", disabled: false };
  constructor(panel, data) {
    super(panel, data, "button", "qtha-button qtha-toggle");
    this.dom.type = "button";
    this.dom.addEventListener("click", () => this.take("value", !this.values.value));
  }
  show(news) {
    const { description, icon, value } = this.values;
    if ("description" in news || "icon" in news) {
      this.dom.replaceChildren(...[icon && make("i", { className: `fa fa-${icon}`, ariaHidden: "true" }), description].filter(Boolean));
    }
    if ("value" in news) this.dom.setAttribute("aria-pressed", String(value));
    if ("disabled" in news) this.dom.disabled = news.disabled;
  }
}

class Slider extends Control {
  static usual = { description: "", labels: [], index: 0, disabled: false, continuous_update: true };
  constructor(panel, data) {
    super(panel, data, make("input", { type: "range", min: 0, step: 1 }), "qtha-slider");
    this.readout = make("output", { ariaHidden: "true" });
    this.input.after(this.readout);
    const move = () => { this.values.index = this.input.valueAsNumber; this.tell(); this.take("index", this.input.valueAsNumber); };
    this.input.addEventListener("input", () => { if (this.values.continuous_update) move(); else this.tell(); });
    this.input.addEventListener("change", () => { if (!this.values.continuous_update) move(); });
  }
  tell() {
    this.readout.textContent = this.values.labels?.[this.input.valueAsNumber] ?? "";
    this.input.setAttribute("aria-valuetext", this.readout.textContent);
  }
  show(news) {
    super.show(news);
    const { labels = [], index = 0 } = this.values;
    if ("labels" in news) { this.input.max = Math.max(0, labels.length - 1); this.input.disabled = labels.length < 2; }
    if ("labels" in news || "index" in news) { this.input.value = index; this.tell(); }
  }
}

class Progress extends Node {
  static usual = { value: 0, max: 1, style: "", description: "" };
  constructor(panel, data) {
    super(panel, data, "div", "qtha-progress");
    this.fillBar = make("span");
    this.words = make("span", { className: "qtha-progress-words" });
    this.bar = make("div", { className: "qtha-bar" }, this.fillBar);
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-valuemin", 0);
    this.dom.append(this.words, this.bar);
  }
  show(news) {
    const { value, max, style, description } = this.values;
    this.fillBar.style.width = `${(100 * Math.min(1, value / (max || 1))).toFixed(1)}%`;
    this.bar.dataset.style = style;
    this.bar.setAttribute("aria-valuemax", max);
    this.bar.setAttribute("aria-valuenow", value);
    this.bar.setAttribute("aria-label", description || "progress");
    this.words.textContent = description;
    this.words.hidden = !description;
  }
}

// A chart or another panel: a widget of its own, drawn by its own view.
class Widget extends Node {
  static usual = {};
  constructor(panel, data) {
    super(panel, data, "div", "qtha-widget");
    this.find(data.model);
  }
  async find(id) {
    const manager = this.panel.whole.widget_manager;
    for (;;) {
      if (this.closed) return;
      try {
        const model = await manager.get_model(id);
        this.view = await manager.create_view(model, {});
        break;
      } catch {
        await new Promise((done) => { setTimeout(done, FIND_MODEL); });
      }
    }
    if (this.closed) { this.view.remove(); return; }
    this.dom.append(this.view.el);
    this.view.trigger("displayed");
  }
  close() { this.closed = true; this.view?.remove(); }
}

const KINDS = {
  html: Html, status: Status, box: Box, fold: Fold, tabs: Tabs, button: Button, text: Text, number: NumberField,
  select: Select, checkbox: Checkbox, toggle: Toggle, slider: Slider, progress: Progress, widget: Widget,
};
const USUAL = { classes: [], visible: true, tooltip: "" };

// ---- the panel -----------------------------------------------------------------------------------

class Panel {
  constructor(model, el) {
    Object.assign(this, { model, el, page: unique(), nodes: new Map(), folded: new Map(), edits: 0, wait: FIRST_WAIT });
    this.whole = model.set?.({}) ?? model;
    sheet();
    this.root = make("div", { className: "qtha-panel" });
    el.append(this.root);
    this.heard = (content) => this.hear(content);
    this.awake = () => { if (!document.hidden) this.look(); };
    model.on("msg:custom", this.heard);
    document.addEventListener("visibilitychange", this.awake);
    globalThis.addEventListener("online", this.awake);
    this.looking = setInterval(this.awake, LOOK);
    this.died = () => this.tellGone();
    this.whole.on?.("comm_live_update", this.died);
    this.ask();
    this.tellGone();
  }

  ask() {
    clearTimeout(this.timer);
    this.send({ kind: "whole", page: this.page });
    this.timer = setTimeout(() => this.ask(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  look() { if (this.top) this.send({ kind: "look", page: this.page }); }

  send(content) {
    try { this.model.send(content); } catch { /* the kernel is gone, which tellGone says */ }
  }

  take(id, name, value) {
    this.edits += 1;
    this.send({ kind: "take", page: this.page, id, name, value, edit: this.edits });
    return this.edits;
  }

  hear(content) {
    if (content.kind === "whole") this.begin(content);
    else if (content.kind === "news") this.renew(content);
    else if (content.kind === "number" && content.page === this.page && content.number !== this.number) this.ask();
    else if (content.kind === "focus") this.nodes.get(content.id)?.focus();
    else if (content.kind === "bring") this.bring(content.css);
  }

  begin({ page, number, root }) {
    if (page !== this.page && this.top) return; // the answer to another page
    clearTimeout(this.timer);
    this.wait = FIRST_WAIT;
    this.number = number;
    this.folded.clear();
    if (this.top?.id === root.id) { this.merge(this.top, root); return; }
    this.top = this.build(root);
    this.root.replaceChildren(this.top.dom);
  }

  renew({ number, news }) {
    if (!this.top || number <= this.number) return;
    if (number !== this.number + 1) { this.ask(); return; }
    this.number = number;
    for (const [id, changes] of news) {
      const node = this.nodes.get(id);
      if (node) node.apply(changes);
      else this.folded.set(id, { ...this.folded.get(id), ...changes }); // of what is not seen yet
    }
  }

  build(data) {
    const kind = KINDS[data.kind] ?? Html;
    const { edit, ...later } = this.folded.get(data.id) ?? {};
    const node = new kind(this, data);
    this.folded.delete(data.id);
    this.nodes.set(data.id, node);
    node.apply({ ...USUAL, ...kind.usual, ...data, ...later });
    return node;
  }

  merge(node, data) {
    const children = [...(data.children ?? []), ...(data.beside ?? [])];
    const known = new Map(children.map((child) => [child.id, child]));
    node.apply({ ...USUAL, ...node.constructor.usual, ...data });
    for (const child of [...(node.own ?? []), ...(node.tooled ?? [])]) if (known.has(child.id)) this.merge(child, known.get(child.id));
  }

  // The children of an element: those that stay keep their place, so that a field that is typed into is not moved.
  fill(place, before, children) {
    const nodes = children.map((child) => this.nodes.get(child.id) ?? this.build(child));
    for (const node of before) if (!nodes.includes(node)) this.drop(node);
    nodes.forEach((node, i) => {
      if (place.children[i] !== node.dom) place.insertBefore(node.dom, place.children[i] ?? null);
    });
    return nodes;
  }

  drop(node) {
    node.close();
    node.dom.remove();
    this.nodes.delete(node.id);
  }

  // Keep a part in view for some seconds, while what is above it is still drawn.
  bring(css) {
    this.keepInSight(5_000, () => this.root.querySelector(`.${css}`));
  }

  // Scroll to a part for some milliseconds or until a person acts.
  keepInSight(during, part) {
    const show = setInterval(() => part()?.scrollIntoView({ block: "nearest" }), 100);
    const end = () => clearInterval(show);
    setTimeout(end, during);
    for (const hand of ["wheel", "pointerdown", "keydown"]) this.root.addEventListener(hand, end, { once: true });
  }

  tellGone() {
    if (this.el.parentElement?.closest(".qtha-panel")) return;
    const gone = this.whole.comm_live === false;
    this.root.classList.toggle("qtha-is-gone", gone);
    if (!gone) { this.notice?.remove(); this.notice = undefined; return; }
    if (this.notice) return;
    const cell = this.el.closest(".jp-Cell");
    const again = make("button", { type: "button", className: "qtha-button mod-primary", textContent: cell ? "Run the cell again" : "Reload the page" });
    again.addEventListener("click", () => {
      if (!cell) { globalThis.location.reload(); return; }
      const spot = cell.querySelector(".jp-InputPrompt, .jp-Cell-inputCollapser") ?? cell;
      for (const kind of ["mousedown", "mouseup", "click"]) spot.dispatchEvent(new MouseEvent(kind, { bubbles: true, button: 0 }));
      const run = cell.closest(".jp-NotebookPanel")?.querySelector("[data-command='notebook:run-cell-and-select-next']");
      run?.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, button: 0 })); // what JupyterLab's toolbar listens to
    });
    const words = make("span", { textContent: "The kernel was restarted, so this panel is not connected. Its runs go on." });
    this.notice = make("div", { className: "qtha-gone" }, words, again);
    this.notice.setAttribute("role", "alert");
    this.root.prepend(this.notice);
  }

  close() {
    clearTimeout(this.timer);
    clearInterval(this.looking);
    this.whole.off?.("comm_live_update", this.died);
    document.removeEventListener("visibilitychange", this.awake);
    globalThis.removeEventListener("online", this.awake);
    this.model.off("msg:custom", this.heard);
    if (this.top) this.drop(this.top);
  }
}

return {
  render({ model, el }) {
    const panel = new Panel(model, el);
    return () => panel.close();
  },
};
