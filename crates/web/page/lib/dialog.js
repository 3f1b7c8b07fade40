// Dialogs and menus. The browser keeps the focus inside, closes them by Escape, and returns the
// focus.

import { button, field, h, icon, iconButton, newId } from './dom.js';
import { t } from './words.js';

/**
 * Shows a dialog and returns the value that `close(value)` gets; null if the reader cancels.
 *
 * `content(close)` returns the elements of the dialog.
 */
export function dialog(title, content, attributes = {}) {
  return new Promise((resolve) => {
    const heading = newId('title');
    let result = null;
    const close = (value) => {
      result = value;
      box.close();
    };
    const box = h('dialog', {
      'aria-labelledby': heading, ...attributes,
      on: {
        close: () => {
          box.remove();
          resolve(result);
        },
      },
    },
    h('header', { class: 'head' }, h('h2', { id: heading }, title), iconButton('close', t('close'), () => close(null))),
    content(close));
    document.body.append(box);
    box.showModal();
  });
}

/** Asks a question. Returns true for the button with the text `yes`. */
export function confirm(title, text, yes) {
  return dialog(title, (close) => [
    h('p', {}, text),
    h('div', { class: 'actions' },
      button(t('cancel'), () => close(null)),
      button(yes, () => close(true), { class: 'danger' })),
  ]);
}

/** Asks to type a name before something that cannot be undone. The button works only then. */
export function confirmTyped(title, text, name, yes) {
  return dialog(title, (close) => {
    const act = h('button', { type: 'submit', class: 'danger', disabled: true }, yes);
    const typed = h('input', {
      type: 'text', autocomplete: 'off', spellcheck: 'false',
      on: { input: () => { act.disabled = typed.value !== name; } },
    });
    return h('form', {
      on: {
        submit: (event) => {
          event.preventDefault();
          if (typed.value === name) close(true);
        },
      },
    },
    h('p', {}, text),
    field(t('dialog.type', { name }), typed),
    h('div', { class: 'actions' }, button(t('cancel'), () => close(null)), act));
  });
}

/**
 * Asks for one or more texts. `inputs` are `{name, label, ...attributes}`. Returns the values by
 * name.
 */
export function form(title, inputs, yes) {
  return dialog(title, (close) => {
    const controls = inputs.map(({ name, label, hint, ...attributes }) => {
      const input = h('input', { name, type: 'text', dir: 'auto', autocomplete: 'off', ...attributes });
      return [input, field(label, input, hint)];
    });
    return h('form', {
      on: {
        submit: (event) => {
          event.preventDefault();
          close(Object.fromEntries(controls.map(([input]) => [input.name, input.value.trim()])));
        },
      },
    },
    controls.map(([, row]) => row),
    h('div', { class: 'actions' },
      button(t('cancel'), () => close(null)),
      h('button', { type: 'submit', class: 'primary' }, yes)));
  });
}

/** Creates a button that opens a menu. `items()` returns pairs of a text and an action. */
export function menu(label, items) {
  const list = h('div', { popover: 'auto', class: 'menu', id: newId('menu') });
  const opener = h('button', {
    type: 'button', class: 'icon-button', 'aria-label': label, title: label, 'aria-haspopup': 'true', popovertarget: list.id,
  }, icon('menu'));
  list.addEventListener('beforetoggle', ({ newState }) => {
    if (newState !== 'open') return;
    list.replaceChildren(...items().filter(Boolean).map(([text, act, attributes = {}]) => button(text, () => {
      list.hidePopover();
      act();
    }, attributes)));
  });
  list.addEventListener('toggle', ({ newState }) => {
    if (newState !== 'open') return;
    place(list, opener);
    list.querySelector('button')?.focus();
  });
  list.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...list.querySelectorAll('button')];
    all.at((all.indexOf(document.activeElement) + step) % all.length)?.focus();
  });
  return h('span', { class: 'menu-place' }, opener, list);
}

/** Places a menu below its button, inside of the window. */
function place(list, opener) {
  const at = opener.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = list;
  const below = at.bottom + height + 4 <= innerHeight;
  list.style.top = `${Math.max(4, below ? at.bottom + 4 : at.top - height - 4)}px`;
  list.style.left = `${Math.max(4, Math.min(at.right - width, innerWidth - width - 4))}px`;
}
