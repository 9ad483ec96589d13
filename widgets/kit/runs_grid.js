// A table of any number of rows, of which only those in sight are elements of the page. The other half is runs_grid.py.
const HEIGHT = 28; // of a row, in pixels
const ROOM = 424; // for rows and their heading, in pixels
const MARGIN = 60; // rows beyond those in sight that are fetched too
const FAST = 500, SLOW = 2_000, LONGEST_WAIT = 8_000; // between two looks; where rows change by themselves FAST
const STYLE = `
.qtha-grid-view { overflow: auto; max-height: var(--qtha-grid-height, ${ROOM}px); border: 1px solid var(--jp-border-color2, #ccc); border-radius: 3px; }
.qtha-grid { border-collapse: separate; border-spacing: 0; table-layout: fixed; min-width: 100%; font-size: 12px;
  color: var(--jp-ui-font-color1, #222); background: var(--jp-layout-color0, #fff); margin: 0; }
.qtha-grid:focus { outline: none; }
.qtha-grid:focus-visible tr.qtha-current > * { box-shadow: inset 0 2px var(--jp-brand-color1, #1976d2), inset 0 -2px var(--jp-brand-color1, #1976d2); }
.qtha-grid tr { height: ${HEIGHT}px; background: transparent !important; }
.qtha-grid :is(th, td) { height: ${HEIGHT}px; padding: 0 8px; box-sizing: border-box; text-align: left; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; border-bottom: 1px solid var(--jp-border-color3, #e0e0e0); font-weight: 400; vertical-align: middle; }
.qtha-grid .qtha-spacer > td { padding: 0; border: 0; }
.qtha-grid thead :is(th, td) { position: sticky; top: 0; z-index: 1; background: var(--jp-layout-color2, #eee); font-weight: 600; padding: 0; }
.qtha-grid thead :is(th, td):not(:has(button)) { padding: 0 8px; }
.qtha-grid thead th { text-align: left; }
.qtha-grid thead button { width: 100%; height: 100%; padding: 0 8px; border: 0; background: none; color: inherit; font: inherit; text-align: inherit;
  cursor: pointer; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.qtha-grid .qtha-numeric { text-align: right; font-variant-numeric: tabular-nums; }
.qtha-grid .qtha-tight { padding: 0; text-align: center; position: sticky; left: 0; z-index: 1; background: var(--jp-layout-color0, #fff); }
.qtha-grid .qtha-tight:nth-child(2) { left: 32px; }
.qtha-grid .qtha-tight:nth-child(3) { left: 60px; }
.qtha-grid thead .qtha-tight { z-index: 2; background: var(--jp-layout-color2, #eee); }
.qtha-grid .qtha-tight input { width: 16px; height: 16px; margin: 0; vertical-align: middle; accent-color: var(--jp-brand-color1, #1976d2); cursor: pointer; }
.qtha-grid tbody button { height: 24px; min-width: 24px; padding: 0 4px; border: 0; background: none; color: inherit; font: inherit; cursor: pointer; }
.qtha-grid tbody .qtha-log { text-decoration: underline; color: var(--jp-content-link-color, #1565c0); }
.qtha-grid button:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: -2px; }
.qtha-grid tbody tr:hover > * { background: var(--jp-layout-color1, #f7f7f7); }
.qtha-grid tbody tr[aria-selected=true] > * { background: color-mix(in srgb, var(--jp-brand-color1, #1976d2) 20%, var(--jp-layout-color0, #fff)); }
.qtha-grid tr.qtha-wrong-row .qtha-state-cell { color: #b00020; font-weight: 600; }
.qtha-grid td > input[type=text] { width: 100%; height: 24px; box-sizing: border-box; font: inherit; color: var(--jp-ui-font-color1); background: var(--jp-layout-color1);
  border: 1px solid var(--jp-brand-color1, #1976d2); }
.qtha-grid caption, .qtha-grid .qtha-for-reader { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.qtha-grid-none { margin: 0; padding: 8px 16px; font-size: 12px; color: var(--jp-ui-font-color1, #222); }
.qtha-grid-keys { margin: 2px; font-size: 11px; line-height: 1.4; color: var(--jp-ui-font-color2, #555); }
.qtha-grid tbody tr.qtha-group-row > * { background: var(--jp-layout-color1, #f7f7f7); font-weight: 600; color: var(--jp-ui-font-color1, #222); }
.qtha-brief .qtha-grid { width: 100% !important; }
.qtha-brief .qtha-grid col:nth-child(4) { width: 23% !important; }
.qtha-brief .qtha-grid col:nth-child(5) { width: 19% !important; }
.qtha-brief .qtha-grid col:nth-child(6) { width: auto !important; }
.qtha-brief .qtha-grid col:nth-child(7) { width: 15% !important; }
[data-jp-theme-light=false] .qtha-grid tr.qtha-wrong-row .qtha-state-cell { color: #ff8a80; }`;
const NONE = "No run is here. Press Launch, or clear the filter.";
const KEYS = "Arrow keys move, Space ticks, Enter opens the log, p pins, F2 renames, t and n write tags and a note, Delete deletes. A heading sorts, with Shift by one more.";

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

class Grid {
  constructor(model, el) {
    this.model = model;
    this.id = `qtha-grid-${Math.random().toString(36).slice(2)}`;
    this.version = this.number = 0;
    this.count = 0;
    this.columns = [];
    this.rows = new Map(); // what the kernel sent, by number
    this.lines = new Map(); // the elements in the page, by number
    this.wait = FAST;
    this.build(el);
    this.heard = (content) => this.hear(content);
    this.renewed = () => this.redraw();
    this.awake = () => { if (!document.hidden) this.ask(); };
    model.on("msg:custom", this.heard);
    model.on("change:ticked", this.renewed);
    model.on("change:sort", this.renewed);
    document.addEventListener("visibilitychange", this.awake);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.view);
    this.ask();
  }

  build(el) {
    this.table = element("table", { className: "qtha-grid", tabIndex: 0 });
    this.table.setAttribute("role", "grid");
    this.table.setAttribute("aria-multiselectable", "true");
    this.table.setAttribute("aria-label", this.model.get("label"));
    this.widths = document.createElement("colgroup");
    this.head = document.createElement("thead");
    this.above = element("tr", { ariaHidden: "true", className: "qtha-spacer" }, document.createElement("td"));
    this.below = element("tr", { ariaHidden: "true", className: "qtha-spacer" }, document.createElement("td"));
    this.body = element("tbody", {}, this.above, this.below);
    this.table.append(this.widths, this.head, this.body);
    this.view = element("div", { className: "qtha-grid-view" }, this.table);
    const keys = element("p", { className: "qtha-grid-keys", textContent: KEYS, id: `${this.id}-keys` });
    this.table.setAttribute("aria-describedby", keys.id);
    this.table.dataset.lmSuppressShortcuts = this.view.dataset.lmSuppressShortcuts = "true"; // JupyterLab would cut cells
    this.none = element("p", { className: "qtha-grid-none", textContent: NONE, hidden: true });
    this.view.append(this.none);
    el.append(element("style", { textContent: STYLE }), this.view, keys);
    this.view.addEventListener("scroll", () => this.draw(), { passive: true });
    this.table.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => this.click(event));
    this.body.addEventListener("dblclick", (event) => this.doubleClick(event));
  }

  // ---- conversation with the kernel

  ask() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    const [from, to] = this.lacking();
    this.pending = true;
    try {
      this.model.send({ kind: "rows", page: this.id, version: this.version, number: this.number, from, to, sight: this.version ? this.sight() : [0, MARGIN] });
    } catch {
      // The kernel is gone: what is in the page stays, and the next look finds out whether it came back.
    }
    this.timer = setTimeout(() => this.ask(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  // The first and last row in sight or near it that are not here; of a table not seen yet, its beginning.
  lacking() {
    if (!this.version) return [0, MARGIN];
    const [first, last] = this.sight();
    let from = Math.max(0, first - MARGIN), to = Math.min(this.count, last + MARGIN);
    for (let i = first; i < last; i += 1) if (!this.rows.has(i)) { from = Math.max(0, first - 10); break; }
    while (from < to && this.rows.has(from)) from += 1;
    while (to > from && this.rows.has(to - 1)) to -= 1;
    return [from, to];
  }

  hear(content) {
    if (content.kind === "news") { if (!this.pending) this.ask(); else this.again = true; return; }
    if (content.page !== this.id) return;
    this.pending = false;
    if (content.version !== this.version && !content.columns) { this.version = 0; this.ask(); return; }
    if (content.version !== this.version) this.begin(content);
    this.number = content.number;
    for (const [index, ids, cells, pinned, wrong, heading] of content.rows) this.rows.set(index, { ids, cells, pinned, wrong, heading });
    this.redraw();
    this.wait = FAST;
    clearTimeout(this.timer);
    const [from, to] = this.lacking();
    if (from < to || this.again) { this.again = false; this.ask(); return; }
    this.table.dataset.version = this.version;
    this.timer = setTimeout(() => this.ask(), content.live ? FAST : SLOW);
  }

  begin({ version, columns, count }) {
    const current = this.rows.get(this.current)?.ids[0];
    Object.assign(this, { version, columns, count, wanted: current });
    this.rows.clear();
    for (const line of this.lines.values()) line.remove();
    this.lines.clear();
    this.current = undefined;
    this.table.setAttribute("aria-rowcount", count + 1);
    this.table.setAttribute("aria-colcount", columns.length + 3);
    this.drawHead();
  }

  act(action, ids, value = "") { this.model.send({ kind: "do", action, ids, value }); }

  tick(ids, on) {
    const before = this.model.get("ticked").filter((id) => !ids.includes(id));
    this.model.set("ticked", on ? [...before, ...ids] : before);
    this.model.save_changes();
  }

  sortBy(name, more) {
    const before = this.model.get("sort").split(",").map((key) => key.trim()).filter(Boolean);
    const mine = before.find((key) => key.replace(/^-/, "") === name);
    const next = mine === name ? `-${name}` : name;
    const others = before.filter((key) => key !== mine);
    this.model.set("sort", (more ? (mine ? before.map((key) => (key === mine ? next : key)) : [...others, next]) : [next]).join(","));
    this.model.save_changes();
  }

  // ---- drawing

  sight() {
    const top = Math.max(0, this.view.scrollTop);
    const rows = Math.ceil(ROOM / HEIGHT) + 1; // not of what the view is now: it is as high as the rows before
    const first = Math.min(Math.floor(top / HEIGHT), Math.max(0, this.count - rows));
    return [first, Math.min(this.count, first + rows)];
  }

  drawHead() {
    const widths = [32, 28, 36, ...this.columns.map((column) => `${column.width}ch`)];
    const lengths = widths.map((width) => (typeof width === "number" ? `${width}px` : width));
    this.table.style.width = `calc(${lengths.join(" + ")})`;
    this.widths.replaceChildren(...lengths.map((length) => {
      const col = document.createElement("col");
      col.style.width = length;
      return col;
    }));
    const heading = (text, css) => element("th", { className: css, scope: "col" }, element("span", { className: "qtha-for-reader", textContent: text }));
    this.heads = this.columns.map((column) => {
      const button = element("button", { type: "button", textContent: column.name, title: `sort by ${column.name}` });
      button.dataset.lmSuppressShortcuts = "true";
      button.addEventListener("click", (event) => this.sortBy(column.name, event.shiftKey));
      const head = element("th", { scope: "col", className: column.numeric ? "qtha-numeric" : "" }, column.sortable ? button : column.name);
      return head;
    });
    this.head.replaceChildren(element("tr", {}, heading("ticked", "qtha-tight"), heading("pinned", "qtha-tight"), heading("log", "qtha-tight"), ...this.heads));
    this.head.firstChild.setAttribute("aria-rowindex", 1);
  }

  redraw() {
    const keys = new Map(this.model.get("sort").split(",").map((key) => [key.trim().replace(/^-/, ""), key.trim()[0]]));
    this.columns.forEach((column, i) => {
      const sign = keys.get(column.name);
      this.heads[i].setAttribute("aria-sort", sign === undefined ? "none" : sign === "-" ? "descending" : "ascending");
      const button = this.heads[i].querySelector("button");
      if (button) button.textContent = column.name + (sign === undefined ? "" : sign === "-" ? " ▼" : " ▲");
    });
    this.ticked = new Set(this.model.get("ticked"));
    for (const [index, line] of this.lines) this.fill(line, index);
    this.draw();
  }

  draw() {
    const [first, last] = this.sight();
    for (const [index, line] of this.lines) {
      if (index < first || index >= last) { line.remove(); this.lines.delete(index); }
    }
    let before = this.above;
    for (let index = first; index < last; index += 1) {
      let line = this.lines.get(index);
      if (!line) {
        line = document.createElement("tr");
        this.lines.set(index, line);
        this.fill(line, index);
        before.after(line);
      }
      before = line;
    }
    this.above.style.height = `${first * HEIGHT}px`;
    this.below.style.height = `${(this.count - last) * HEIGHT}px`;
    this.above.hidden = !first;
    this.below.hidden = last === this.count;
    this.none.hidden = this.count > 0 || !this.version;
    const [from, to] = this.lacking();
    if (this.version && from < to && !this.pending) this.ask();
  }

  fill(line, index) {
    const row = this.rows.get(index);
    if (row && this.wanted === row.ids[0] && this.current === undefined) { this.current = index; this.wanted = undefined; }
    const ticked = !!row && row.ids.every((id) => this.ticked?.has(id));
    const current = index === this.current;
    line.classList.toggle("qtha-current", current);
    if (current) this.table.setAttribute("aria-activedescendant", `${this.id}-${index}`);
    if (line.row !== row || line.columns !== this.columns) this.write(line, index, row);
    if (!row) return;
    line.setAttribute("aria-selected", String(ticked));
    line.cells[0].firstChild.checked = ticked;
  }

  write(line, index, row) {
    if (line.contains(this.editor) && line.row?.ids[0] === row?.ids[0]) return; // a person writes in it
    Object.assign(line, { row, columns: this.columns, id: `${this.id}-${index}` });
    line.dataset.index = index;
    line.setAttribute("aria-rowindex", index + 2);
    line.classList.toggle("qtha-wrong-row", !!row?.wrong);
    if (!row) { line.replaceChildren(element("td", { textContent: "…", colSpan: this.columns.length + 3 })); return; }
    const name = row.ids.length > 1 && !row.heading ? `${row.ids.length} runs` : row.cells[0];
    const box = element("input", { type: "checkbox", tabIndex: -1 });
    box.setAttribute("aria-label", `tick ${name}`);
    line.classList.toggle("qtha-group-row", !!row.heading);
    if (row.heading) {
      box.dataset.lmSuppressShortcuts = "true";
      const title = element("th", { textContent: row.cells[0], colSpan: this.columns.length + 2, scope: "rowgroup", title: row.cells[0] });
      line.replaceChildren(element("td", { className: "qtha-tight" }, box), title);
      return;
    }
    const pin = element("button", { type: "button", className: "qtha-pin", tabIndex: -1, textContent: row.pinned ? "★" : "☆", title: row.pinned ? "pinned" : "pin" });
    pin.setAttribute("aria-label", `pin ${name}`);
    pin.setAttribute("aria-pressed", String(!!row.pinned));
    const log = element("button", { type: "button", className: "qtha-log", tabIndex: -1, textContent: "log" });
    log.setAttribute("aria-label", `log of ${name}`);
    for (const control of [box, pin, log]) control.dataset.lmSuppressShortcuts = "true";
    const cells = this.columns.map((column, i) => {
      const cell = element(i ? "td" : "th", { textContent: row.cells[i], title: row.cells[i] });
      if (!i) cell.scope = "row";
      if (column.numeric) cell.className = "qtha-numeric";
      if (column.name === "state") cell.className = "qtha-state-cell";
      return cell;
    });
    const tight = (child) => element("td", { className: "qtha-tight" }, child);
    line.replaceChildren(tight(box), tight(pin), tight(log), ...cells);
  }

  // ---- what a person does

  go(index) {
    if (!this.count) return;
    const before = this.lines.get(this.current);
    this.current = Math.max(0, Math.min(this.count - 1, index));
    before?.classList.remove("qtha-current");
    const top = this.current * HEIGHT, room = this.view.clientHeight - 2 * HEIGHT;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    else if (top > this.view.scrollTop + room) this.view.scrollTop = top - room;
    this.draw();
    const line = this.lines.get(this.current);
    if (line) this.fill(line, this.current);
  }

  key(event) {
    if (event.target !== this.table && !event.target.closest("tbody button, tbody input[type=checkbox]")) return;
    const page = Math.max(1, Math.floor(this.view.clientHeight / HEIGHT) - 2), at = this.current ?? -1;
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.count - 1 };
    const row = this.rows.get(this.current);
    const deeds = row && {
      " ": () => this.tick(row.ids, !row.ids.every((id) => this.ticked.has(id))),
      Enter: () => this.act("open", row.ids), F2: () => this.edit("name"), t: () => this.edit("tags"), n: () => this.edit("note"),
      p: () => this.act("pin", row.ids, row.pinned ? "" : "yes"), Delete: () => this.act("delete", row.ids),
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.go(moves[event.key]);
    else if (deeds && event.key in deeds) deeds[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  click(event) {
    const line = event.target.closest("tr"), row = line?.row;
    if (!row || event.target.matches("input[type=text]")) return;
    const { checked } = event.target; // drawing the row shows the state before the click again
    this.go(Number(line.dataset.index));
    if (event.target.matches("input")) this.tick(row.ids, checked);
    else if (event.target.matches(".qtha-pin")) this.act("pin", row.ids, row.pinned ? "" : "yes");
    else if (event.target.matches(".qtha-log")) this.act("open", row.ids);
    this.table.focus({ preventScroll: true });
  }

  doubleClick(event) {
    const cell = event.target.closest("td, th"), column = this.columns[cell?.cellIndex - 3];
    if (column?.editable) this.edit(column.name);
  }

  // The cell of the current row becomes a field; Enter keeps what is written, Escape what was.
  edit(name) {
    const line = this.lines.get(this.current), row = line?.row;
    const place = this.columns.findIndex((column) => column.name === name && column.editable);
    if (!row || place < 0 || row.ids.length > 1) return;
    const cell = line.cells[place + 3], before = row.cells[place];
    const field = element("input", { type: "text", value: before });
    field.setAttribute("aria-label", `${name} of ${row.cells[0]}`);
    field.dataset.lmSuppressShortcuts = "true";
    const close = (keep) => {
      if (this.editor !== field) return;
      this.editor = undefined;
      const text = field.value;
      line.row = undefined; // written anew
      this.fill(line, Number(line.dataset.index));
      if (keep && text !== before) this.act(name, row.ids, text);
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
    cell.replaceChildren(field);
    field.focus();
    field.select();
  }

  close() {
    clearTimeout(this.timer);
    this.resized.disconnect();
    document.removeEventListener("visibilitychange", this.awake);
    this.model.off("msg:custom", this.heard);
    this.model.off("change:ticked", this.renewed);
    this.model.off("change:sort", this.renewed);
  }
}

return {
  render({ model, el }) {
    const grid = new Grid(model, el);
    return () => grid.close();
  },
};
