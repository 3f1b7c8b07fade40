// Helpers that all screens share: headings, errors, and work that may fail.

import { Failure, get } from './api.js';
import { button, h, notify } from './dom.js';
import { t } from './words.js';

/** Returns the sentence that describes an error. */
export function sentence(error) {
  if (!(error instanceof Failure)) return t('error.page', { detail: error.message });
  if (error.status === 0) return t('error.offline');
  if (error.status === 429) return t('error.busy', { count: error.retryAfter ?? 1 });
  return error.message;
}

/** Creates a box that describes an error, with a button that tries again. */
export function errorBox(error, again) {
  return h('div', { class: 'error', role: 'alert' },
    h('p', { dir: 'auto' }, sentence(error)),
    error.request && h('p', { class: 'hint' }, t('error.request'), ' ', h('code', {}, error.request)),
    again && button(t('again'), again));
}

/** Runs an action. Tells the reader if it fails, and returns undefined then. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    notify(sentence(error));
    return undefined;
  }
}

/** Creates the heading of a screen. `tools` stand at its end. */
export function heading(text, ...tools) {
  return h('header', { class: 'head' }, h('h1', { tabindex: '-1', dir: 'auto' }, text), h('div', { class: 'tools' }, tools));
}

/**
 * Loads data and shows them in `place`. After 300 ms, `place` is marked as busy, and an empty one
 * shows a placeholder. Old content stays until the data or an error replaces it.
 */
export async function load(place, signal, read, render) {
  const slow = setTimeout(() => {
    place.setAttribute('aria-busy', 'true');
    if (!place.childElementCount) place.append(h('div', { class: 'skeleton' }, h('p', { class: 'unseen' }, t('loading'))));
  }, 300);
  try {
    const data = await read();
    if (!signal.aborted) place.replaceChildren(...[render(data)].flat());
  } catch (error) {
    if (signal.aborted) return;
    place.replaceChildren(errorBox(error, () => load(place, signal, read, render)));
  } finally {
    clearTimeout(slow);
    place.removeAttribute('aria-busy');
  }
}

/** Calls `step` now and every so many milliseconds while the tab is visible, until `signal` aborts. */
export function every(milliseconds, signal, step) {
  const run = () => document.visibilityState === 'visible' && step();
  const timer = setInterval(run, milliseconds);
  signal.addEventListener('abort', () => clearInterval(timer));
  document.addEventListener('visibilitychange', run, { signal });
  return run();
}

const characters = new Intl.Segmenter();

/** Creates the picture of an agent, or a circle with its first letter. It is decoration. */
export function face(name, source, size = 'small') {
  if (source) return h('img', { class: `face ${size}`, src: source, alt: '', loading: 'lazy' });
  // The first character as a reader sees it, which may be several code points.
  const first = characters.segment(name)[Symbol.iterator]().next().value?.segment ?? '?';
  const hue = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  const circle = h('span', { class: `face ${size}`, 'aria-hidden': 'true' }, first.toUpperCase());
  circle.style.setProperty('--hue', hue);
  return circle;
}

/** Loads all parts of a list that the server gives in parts. */
export async function all(path, signal) {
  const found = [];
  for (let after = 0; ;) {
    const part = await get(`${path}?after=${after}&limit=1000`, { signal });
    found.push(...part);
    if (part.length < 1000) return found;
    after = part.at(-1).id;
  }
}
