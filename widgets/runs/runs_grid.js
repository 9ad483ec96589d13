// A table of any number of rows; the page holds elements of visible rows only. The other half is runs_grid.py.

const HEIGHT = 28; // of a row, in pixels
const ROOM = 424; // for rows and their heading, in pixels
const MARGIN = 60; // rows beyond the visible ones that are requested too
const AGAIN = 5_000; // milliseconds until rows are requested again
const LOOK = 1_000; // milliseconds between two searches for changes in the folder
const MARKS = ["ticked", "hidden", "colors", "sort"]; // traits that change visible rows without a request
const NONE = "No run is here. Press Launch, or clear the filter.";
const KEYS = "Arrow keys move, Space ticks, Enter opens the log, p pins, l shows or hides the line, F2 renames, t and n write tags and a note, Delete deletes. A heading sorts, with Shift by one more.";

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

// A button of a row; the keys of the table do the same.
function rowButton(css, textContent, label, title = "") {
  const button = element("button", { type: "button", className: css, tabIndex: -1, textContent, title });
  button.setAttribute("aria-label", label);
  button.dataset.lmSuppressShortcuts = "true";
  return button;
}

class Grid {
  constructor(model, el) {
    Object.assign(this, { model, rows: new Map(), lines: new Map(), again: 0, id: `qtha-grid-${Math.random().toString(36).slice(2)}` });
    this.build(el);
    this.listeners = { "msg:custom": (content) => this.hear(content), "change:version": () => this.ask() };
    for (const name of MARKS) this.listeners[`change:${name}`] = () => this.redraw();
    for (const [name, call] of Object.entries(this.listeners)) model.on(name, call);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.view);
    this.timer = setInterval(() => {
      if (!document.hidden && Date.now() > this.again) this.send({ kind: "look", at: this.again = Date.now() + 60 * LOOK });
    }, LOOK);
    this.ask();
  }

  build(el) {
    el.innerHTML = `<div class="qtha-grid-view" data-lm-suppress-shortcuts="true"><table class="qtha-grid" role="grid" tabindex="0"
      aria-multiselectable="true" aria-describedby="${this.id}-keys" data-lm-suppress-shortcuts="true"><colgroup></colgroup><thead></thead><tbody></tbody></table>
      <p class="qtha-grid-none" hidden>${NONE}</p></div><p class="qtha-grid-keys" id="${this.id}-keys">${KEYS}</p>`;
    this.view = el.firstChild;
    [this.table, this.none] = this.view.children;
    [this.widths, this.head, this.body] = this.table.children;
    this.table.setAttribute("aria-label", this.model.get("label"));
    this.view.addEventListener("scroll", () => this.draw(), { passive: true });
    this.table.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => this.click(event));
    this.body.addEventListener("dblclick", (event) => {
      const cell = event.target.closest("td, th");
      if (this.columns[cell?.cellIndex - 3]?.editable) this.edit(this.columns[cell.cellIndex - 3].name);
    });
  }

  // ---- messages

  send(question) {
    try {
      this.model.send(question);
    } catch {
      // Without a kernel the rows of the page stay.
    }
  }

  // Request the rows that are visible or near; those of an older table stay until they arrive.
  ask() {
    if (this.asked) return;
    const [first, last] = this.sight();
    this.asked = setTimeout(() => { this.asked = undefined; this.ask(); }, AGAIN);
    this.send({ kind: "rows", from: Math.max(0, first - MARGIN), to: last + MARGIN });
  }

  hear({ kind, version, rows }) {
    if (kind === "looked") this.again = 0;
    if (kind !== "rows") return;
    clearTimeout(this.asked);
    this.asked = undefined;
    if (version !== this.model.get("version")) { this.ask(); return; }
    if (version !== this.version) this.begin(version);
    for (const [index, ids, cells, pinned, wrong, heading] of rows) this.rows.set(index, { ids, cells, pinned, wrong, heading });
    this.redraw();
    this.table.dataset.version = version;
  }

  begin(version) {
    const wanted = this.rows.get(this.current)?.ids[0];
    Object.assign(this, { version, columns: this.model.get("columns"), count: this.model.get("count"), wanted, current: undefined });
    this.rows.clear();
    this.lines.clear();
    this.table.setAttribute("aria-rowcount", this.count + 1);
    this.table.setAttribute("aria-colcount", this.columns.length + 3);
    this.drawHead();
  }

  act(action, ids, value = "") { this.send({ kind: "do", action, ids, value }); }

  // Add ids to a trait that lists ids, or remove them.
  mark(name, ids, on) {
    const before = this.model.get(name).filter((id) => !ids.includes(id));
    this.model.set(name, on ? [...before, ...ids] : before);
    this.model.save_changes();
  }

  toggleLine(ids) {
    const drawn = ids.filter((id) => this.model.get("colors")[id]);
    this.mark("hidden", drawn, !drawn.every((id) => this.hidden.has(id)));
  }

  sortBy(name, more) {
    const before = this.model.get("sort").split(",").map((key) => key.trim()).filter(Boolean);
    const mine = before.find((key) => key.replace(/^-/, "") === name);
    const next = mine === name ? `-${name}` : name;
    const several = mine ? before.map((key) => (key === mine ? next : key)) : [...before, next];
    this.model.set("sort", (more ? several : [next]).join(","));
    this.model.save_changes();
  }

  // ---- drawing

  // The first and last visible row; the height of the view is that of the rows before.
  sight() {
    const rows = Math.ceil(ROOM / HEIGHT) + 1, count = this.count ?? 0;
    const first = Math.min(Math.floor(Math.max(0, this.view.scrollTop) / HEIGHT), Math.max(0, count - rows));
    return [first, Math.min(count, first + rows)];
  }

  drawHead() {
    const lengths = ["32px", "28px", "36px", ...this.columns.map((column) => `${column.width}ch`)];
    this.table.style.width = `calc(${lengths.join(" + ")})`;
    this.widths.replaceChildren(...lengths.map((width) => element("col", { style: `width: ${width}` })));
    const hidden = (text) => element("th", { className: "qtha-tight", scope: "col" }, element("span", { className: "qtha-hidden", textContent: text }));
    this.heads = this.columns.map(({ name, numeric, sortable }) => {
      const button = element("button", { type: "button", textContent: name, title: `sort by ${name}` });
      button.dataset.lmSuppressShortcuts = "true";
      button.addEventListener("click", (event) => this.sortBy(name, event.shiftKey));
      return element("th", { scope: "col", className: numeric ? "qtha-numeric" : "" }, sortable ? button : name);
    });
    this.head.replaceChildren(element("tr", { ariaRowIndex: 1 }, ...["ticked", "pinned", "log"].map(hidden), ...this.heads));
  }

  redraw() {
    if (this.version === undefined) return;
    const keys = new Map(this.model.get("sort").split(",").map((key) => [key.trim().replace(/^-/, ""), key.trim()[0] === "-"]));
    this.columns.forEach(({ name }, i) => {
      const falling = keys.get(name), button = this.heads[i].querySelector("button");
      this.heads[i].ariaSort = falling === undefined ? "none" : falling ? "descending" : "ascending";
      if (button) button.textContent = name + (falling === undefined ? "" : falling ? " ▼" : " ▲");
    });
    this.ticked = new Set(this.model.get("ticked"));
    this.hidden = new Set(this.model.get("hidden"));
    this.draw(true);
  }

  draw(again = false) {
    if (this.version === undefined) return;
    const [first, last] = this.sight(), shown = [];
    for (let index = first; index < last; index += 1) {
      const isNew = !this.lines.has(index);
      if (isNew) this.lines.set(index, document.createElement("tr"));
      if (isNew || again) this.fill(this.lines.get(index), index);
      shown.push(this.lines.get(index));
    }
    for (const index of this.lines.keys()) if (index < first || index >= last) this.lines.delete(index);
    if (shown.length !== this.body.rows.length || shown.some((line, i) => line !== this.body.rows[i])) this.body.replaceChildren(...shown);
    this.table.style.margin = `${first * HEIGHT}px 0 ${(this.count - last) * HEIGHT}px`;
    this.none.hidden = this.count > 0;
    for (let index = first; index < last; index += 1) if (!this.rows.has(index)) { this.ask(); return; }
  }

  fill(line, index) {
    const row = this.rows.get(index);
    if (row && this.wanted === row.ids[0] && this.current === undefined) { this.current = index; this.wanted = undefined; }
    const current = index === this.current;
    line.classList.toggle("qtha-current", current);
    if (current) this.table.setAttribute("aria-activedescendant", `${this.id}-${index}`);
    if ((line.row !== row || !line.cells.length) && !line.contains(this.editor)) this.write(line, index, row);
    if (!row) return;
    line.ariaSelected = String(line.cells[0].firstChild.checked = row.ids.every((id) => this.ticked.has(id)));
    const dot = line.querySelector(".qtha-dot");
    if (dot) this.paint(dot, row);
  }

  // The symbol of a run's line in the plot; it is faint without a visible line.
  paint(dot, row) {
    const [glyph = "", color = ""] = this.model.get("colors")[row.ids[0]] ?? [];
    const isDrawn = !row.ids.every((id) => this.hidden.has(id));
    Object.assign(dot, { textContent: glyph, hidden: !glyph, title: isDrawn ? "hide the line" : "show the line", ariaPressed: String(isDrawn) });
    dot.style.color = color;
  }

  write(line, index, row) {
    Object.assign(line, { row, id: `${this.id}-${index}`, ariaRowIndex: index + 2 });
    line.dataset.index = index;
    line.classList.toggle("qtha-wrong-row", !!row?.wrong);
    line.classList.toggle("qtha-group-row", !!row?.heading);
    if (!row) { line.replaceChildren(element("td", { textContent: "…", colSpan: this.columns.length + 3 })); return; }
    const name = row.ids.length > 1 && !row.heading ? `${row.ids.length} runs` : row.cells[0];
    const tight = (child) => element("td", { className: "qtha-tight" }, child);
    const box = element("input", { type: "checkbox", tabIndex: -1, ariaLabel: `tick ${name}` });
    box.dataset.lmSuppressShortcuts = "true";
    const title = element("th", { textContent: name, colSpan: this.columns.length + 2, scope: "rowgroup", title: name });
    if (row.heading) { line.replaceChildren(tight(box), title); return; }
    const pin = rowButton("qtha-pin", row.pinned ? "★" : "☆", `pin ${name}`, row.pinned ? "pinned" : "pin");
    pin.ariaPressed = String(!!row.pinned);
    const cells = this.columns.map((column, i) => element(i ? "td" : "th", {
      textContent: row.cells[i], title: row.cells[i], className: column.numeric ? "qtha-numeric" : column.name === "state" ? "qtha-state-cell" : "",
    }));
    cells[0].scope = "row";
    cells[0].prepend(rowButton("qtha-dot", "", `line of ${name}`));
    line.replaceChildren(tight(box), tight(pin), tight(rowButton("qtha-log", "log", `log of ${name}`)), ...cells);
  }

  // ---- actions of the user

  go(index) {
    if (!this.count) return;
    this.lines.get(this.current)?.classList.remove("qtha-current");
    this.current = Math.max(0, Math.min(this.count - 1, index));
    const top = this.current * HEIGHT, room = this.view.clientHeight - 2 * HEIGHT;
    this.view.scrollTop = Math.min(top, Math.max(this.view.scrollTop, top - room));
    this.draw();
    this.fill(this.lines.get(this.current), this.current);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target !== this.table && !event.target.closest("tbody button, tbody input[type=checkbox]")) return;
    const page = Math.max(1, Math.floor(this.view.clientHeight / HEIGHT) - 2), at = this.current ?? -1;
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.count - 1 };
    const row = this.rows.get(this.current);
    const deeds = row && {
      " ": () => this.mark("ticked", row.ids, !row.ids.every((id) => this.ticked.has(id))),
      Enter: () => this.act("open", row.ids), F2: () => this.edit("name"), t: () => this.edit("tags"), n: () => this.edit("note"),
      l: () => this.toggleLine(row.ids), p: () => this.act("pin", row.ids, row.pinned ? "" : "yes"), Delete: () => this.act("delete", row.ids),
    };
    if (event.key in moves) this.go(moves[event.key]);
    else if (deeds && event.key in deeds) deeds[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  click(event) {
    const line = event.target.closest("tr"), row = line?.row, { checked } = event.target; // `go` draws the state before the click
    if (!row || line.contains(this.editor)) return;
    this.go(Number(line.dataset.index));
    if (event.target.matches("input")) this.mark("ticked", row.ids, checked);
    else if (event.target.matches(".qtha-dot")) this.toggleLine(row.ids);
    else if (event.target.matches(".qtha-pin")) this.act("pin", row.ids, row.pinned ? "" : "yes");
    else if (event.target.matches(".qtha-log")) this.act("open", row.ids);
    this.table.focus({ preventScroll: true });
  }

  // Turn a cell of the current row into a field; Enter stores the text, Escape restores the old one.
  edit(name) {
    const line = this.lines.get(this.current), row = line?.row;
    const place = this.columns.findIndex((column) => column.name === name && column.editable);
    if (!row || place < 0 || row.ids.length > 1) return;
    const before = row.cells[place], field = element("input", { type: "text", value: before, ariaLabel: `${name} of ${row.cells[0]}` });
    field.dataset.lmSuppressShortcuts = "true";
    const close = (keep) => {
      if (this.editor !== field) return;
      this.editor = line.row = undefined; // the row is written anew
      this.fill(line, Number(line.dataset.index));
      if (keep && field.value !== before) this.act(name, row.ids, field.value);
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      close(event.key === "Enter");
      this.table.focus({ preventScroll: true });
    });
    field.addEventListener("blur", () => close(true));
    this.editor = field;
    line.cells[place + 3].replaceChildren(field);
    field.select();
    field.focus();
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.asked);
    this.resized.disconnect();
    for (const [name, call] of Object.entries(this.listeners)) this.model.off(name, call);
  }
}

export default {
  render({ model, el }) {
    const grid = new Grid(model, el);
    return () => grid.close();
  },
};
