// Completes the names of agents after an `@` in the composer.

import { h, newId } from '../lib/dom.js';

/** The part of a text before the cursor that may be the beginning of a mention. */
const BEGINNING = /(?:^|\s)@([^@\n]{0,40})$/u;

/** Returns the ids of the agents that a text mentions, in the order of the text. */
export function mentioned(text, agents) {
  const found = [];
  // Longer names come first, so that "@Ada Brackwater" does not mention "Ada".
  let rest = text.toLocaleLowerCase();
  for (const { id, name } of [...agents].sort((a, b) => b.name.length - a.name.length)) {
    const sign = `@${name.toLocaleLowerCase()}`;
    const at = rest.indexOf(sign);
    if (at < 0) continue;
    found.push([at, id]);
    rest = rest.replaceAll(sign, ' '.repeat(sign.length));
  }
  return found.sort(([a], [b]) => a - b).map(([, id]) => id);
}

/** A list of names below a text area, which the keys of the text area control. */
export class Mentions {
  #input;
  #agents;
  #choices = [];
  #at = 0;

  /** `agents()` returns the agents of the room. */
  constructor(input, agents) {
    this.#input = input;
    this.#agents = agents;
    this.element = h('ul', { role: 'listbox', id: newId('names'), class: 'names', hidden: true });
    input.setAttribute('aria-autocomplete', 'list');
    input.setAttribute('aria-controls', this.element.id);
    input.addEventListener('input', () => this.#update());
    input.addEventListener('click', () => this.#update());
    input.addEventListener('blur', () => setTimeout(() => this.#close(), 150));
  }

  /** Handles a key. Returns true if the list used it. */
  key(event) {
    if (this.element.hidden) return false;
    const count = this.#choices.length;
    switch (event.key) {
      case 'ArrowDown': this.#mark((this.#at + 1) % count); break;
      case 'ArrowUp': this.#mark((this.#at + count - 1) % count); break;
      case 'Enter': case 'Tab': this.#choose(this.#choices[this.#at]); break;
      case 'Escape': this.#close(); break;
      default: return false;
    }
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #update() {
    const before = this.#input.value.slice(0, this.#input.selectionStart);
    const typed = before.match(BEGINNING)?.[1]?.toLocaleLowerCase();
    if (typed === undefined) return this.#close();
    this.#choices = this.#agents().filter(({ name }) => name.toLocaleLowerCase().startsWith(typed)).slice(0, 8);
    if (this.#choices.length === 0) return this.#close();
    this.element.replaceChildren(...this.#choices.map((agent, index) => h('li', {
      role: 'option', id: `${this.element.id}-${index}`, dir: 'auto',
      on: { mousedown: (event) => { event.preventDefault(); this.#choose(agent); } },
    }, agent.name)));
    this.element.hidden = false;
    this.#mark(0);
    return undefined;
  }

  #mark(index) {
    this.#at = index;
    [...this.element.children].forEach((option, other) => option.setAttribute('aria-selected', String(other === index)));
    this.#input.setAttribute('aria-activedescendant', `${this.element.id}-${index}`);
  }

  #choose({ name }) {
    const at = this.#input.selectionStart;
    const before = this.#input.value.slice(0, at).replace(/@[^@\n]*$/u, `@${name} `);
    this.#input.value = before + this.#input.value.slice(at);
    this.#input.setSelectionRange(before.length, before.length);
    this.#close();
    this.#input.dispatchEvent(new Event('input', { bubbles: true }));
  }

  #close() {
    this.element.hidden = true;
    this.#input.removeAttribute('aria-activedescendant');
  }
}
