// Builds and changes elements. Text always becomes text nodes, never markup.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Creates an element.
 *
 * Attributes that are false or null are left out, and true stands for an attribute without a value.
 * `on` holds listeners by the type of their event. `value` and `checked` are set as properties.
 */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Creates an SVG element. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') {
      for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    } else if (name === 'value' || name === 'checked') {
      element[name] = value;
    } else if (value === true) {
      element.setAttribute(name, '');
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  append(element, children);
  return element;
}

/** Appends elements and texts. Lists are flattened, and null, undefined and false are left out. */
export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Replaces the children of an element. */
export function show(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * Replaces the children of an element. If the focus was inside, it goes to the same control among the
 * new children, or to the element itself.
 */
export function redraw(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  show(element, ...children);
  if (!focused) return;
  const controls = [...element.querySelectorAll('a, button, input, [tabindex]')];
  const same = controls.find((control) => control.tagName === focused.tagName && identity(control) === identity(focused));
  if (!same) element.setAttribute('tabindex', '-1');
  (same ?? element).focus();
}

function identity(control) {
  return control.getAttribute('href') ?? control.getAttribute('aria-label') ?? control.textContent;
}

/** Sets the text of an element if it is another. An unchanged text keeps a selection in it. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute, or removes it if the value is null or false. */
export function setAttribute(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? '' : value);
}

const ICONS = {
  agents: 'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21a7 7 0 0 1 14 0M16 4a4 4 0 0 1 0 7M18 14a7 7 0 0 1 4 7',
  back: 'M15 5l-7 7 7 7',
  close: 'M6 6l12 12M18 6L6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  down: 'M12 5v14M6 13l6 6 6-6',
  gauge: 'M4 18a9 9 0 1 1 16 0M12 14l4-5',
  help: 'M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2M12 18v.5',
  image: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.5',
  menu: 'M12 5v.5M12 12v.5M12 19v.5',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 5l12 7-12 7z',
  plus: 'M12 5v14M5 12h14',
  room: 'M4 5h16v11h-8l-5 4v-4H4z',
  send: 'M4 12l16-8-6 16-3-7z',
  settings: 'M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4',
};

/** Creates an icon. It is decoration: the control that contains it has a name of its own. */
export function icon(name) {
  return svg('svg', { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true' }, svg('path', { d: ICONS[name] }));
}

/** Creates a button with an icon only. The label is its accessible name and its tooltip. */
export function iconButton(name, label, click, attributes = {}) {
  return h('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label, on: { click }, ...attributes }, icon(name));
}

/** Creates a button with a text. */
export function button(text, click, attributes = {}) {
  return h('button', { type: 'button', on: { click }, ...attributes }, text);
}

let ids = 0;

/** Returns an id that no other element has. */
export function newId(prefix = 'id') {
  ids += 1;
  return `${prefix}-${ids}`;
}

/** Creates a labelled field: a label above a control, with an optional hint below. */
export function field(label, control, hint) {
  control.id ||= newId('field');
  const note = hint && h('p', { class: 'hint', id: newId('hint') }, hint);
  if (note) control.setAttribute('aria-describedby', note.id);
  return h('div', { class: 'field' }, h('label', { for: control.id }, label), control, note);
}

/** Creates a labelled checkbox. */
export function checkbox(label, checked, change) {
  const box = h('input', { type: 'checkbox', checked, on: { change: () => change(box.checked) } });
  return h('label', { class: 'check' }, box, h('span', {}, label));
}

/** Creates a list of choices. `options` are pairs of a value and a text. */
export function choice(options, value, change, attributes = {}) {
  const list = h('select', { ...attributes, on: { change: () => change(list.value) } },
    options.map(([value, text]) => h('option', { value }, text)));
  list.value = value;
  return list;
}

/** Says a text to screen readers, without showing it. */
export function announce(text) {
  const note = h('p', { dir: 'auto' }, text);
  document.getElementById('spoken').append(note);
  setTimeout(() => note.remove(), 15_000);
}

/** Removes what was said and shown, when another person may come. */
export function forgetNotices() {
  document.getElementById('spoken').replaceChildren();
  document.getElementById('notices').replaceChildren();
}

/** Shows a text for a few seconds. It is said to screen readers, too. */
export function notify(text) {
  const note = h('p', { class: 'notice', dir: 'auto' }, text);
  document.getElementById('notices').append(note);
  setTimeout(() => note.remove(), 6000);
}
