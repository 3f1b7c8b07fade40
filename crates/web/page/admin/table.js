// A table that is sorted by its heads, filtered, and updated in place, so that a tick moves neither
// focus nor selection.

import { button, h, setText } from '../lib/dom.js';
import { compare, t } from '../lib/words.js';

/** A table of rows with keys. */
export class Table {
  #columns;
  #rows = new Map();
  #body = h('tbody');
  #heads;
  #sorted = null;
  #descending = false;
  #filter = '';

  /**
   * `columns` are `{label, isHead, text(row), sort(row), cell(row), change(cell, row)}`. `text`
   * returns the text of a cell at each update, and `change` is called after it. `sort` returns the
   * value by which rows are sorted, and `cell` creates the elements of a cell once for each row.
   */
  constructor(caption, columns) {
    this.#columns = columns;
    this.#heads = columns.map((column) => h('th', { scope: 'col', class: column.sort ? 'number' : '' },
      column.sort || column.text ? button(column.label, () => this.#sortBy(column), { class: 'sort' }) : column.label));
    this.element = h('table', {}, h('caption', { class: 'unseen' }, caption), h('thead', {}, h('tr', {}, this.#heads)), this.#body);
  }

  /** Shows only rows whose key contains the text. */
  filter(text) {
    this.#filter = text.toLocaleLowerCase();
    for (const [key, { element }] of this.#rows) element.hidden = !key.toLocaleLowerCase().includes(this.#filter);
  }

  /** Updates the rows. `rows` are `[key, row]`; rows that are gone are removed. */
  update(rows) {
    const keys = new Set(rows.map(([key]) => key));
    for (const [key, { element }] of this.#rows) {
      if (keys.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    for (const [key, row] of rows) {
      let shown = this.#rows.get(key);
      if (!shown) {
        shown = this.#create(key, row);
        this.#rows.set(key, shown);
        this.#body.append(shown.element);
      }
      shown.row = row;
      this.#columns.forEach((column, index) => {
        if (column.text) setText(shown.cells[index], column.text(row));
        column.change?.(shown.cells[index], row);
      });
    }
    this.#arrange();
  }

  #create(key, row) {
    const cells = this.#columns.map((column) => {
      const cell = h(column.isHead ? 'th' : 'td', {
        scope: column.isHead ? 'row' : null, class: column.sort ? 'number' : '', 'data-label': column.label,
      }, column.cell?.(row));
      return cell;
    });
    const element = h('tr', { 'data-key': key }, cells);
    element.hidden = !key.toLocaleLowerCase().includes(this.#filter);
    return { element, cells, row };
  }

  #sortBy(column) {
    this.#descending = this.#sorted === column ? !this.#descending : Boolean(column.sort);
    this.#sorted = column;
    this.#columns.forEach((other, index) => {
      if (other === column) this.#heads[index].setAttribute('aria-sort', this.#descending ? 'descending' : 'ascending');
      else this.#heads[index].removeAttribute('aria-sort');
    });
    this.#arrange();
  }

  /** Puts the rows into their order. Moves only rows that are in a wrong place. */
  #arrange() {
    const column = this.#sorted;
    if (!column) return;
    // A row with the focus would lose it by being moved.
    if (this.#body.contains(document.activeElement)) return;
    const value = ({ row }) => (column.sort ?? column.text)(row);
    const sorted = [...this.#rows.values()].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = typeof x === 'string' ? compare(x, y) : x - y;
      return this.#descending ? -order : order;
    });
    sorted.forEach(({ element }, index) => {
      if (this.#body.children[index] !== element) this.#body.insertBefore(element, this.#body.children[index] ?? null);
    });
  }
}

/** Creates a text that explains the columns of a table. */
export function legend(pairs) {
  return h('details', { class: 'legend' }, h('summary', {}, t('admin.legend')),
    h('dl', {}, pairs.map(([label, text]) => h('div', {}, h('dt', {}, label), h('dd', {}, text)))));
}
