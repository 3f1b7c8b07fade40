// The screens for operators: a row of links, and the part that the address names.

import { h, show } from '../lib/dom.js';
import { isAdmin } from '../lib/session.js';
import { t } from '../lib/words.js';

/** The parts, in the order of the links. */
const PARTS = ['cache', 'conversations', 'files', 'usage', 'health', 'access', 'events'];

/** Shows the part. Its style sheet is loaded with the first one. */
export async function open({ main, params: [part], signal, setTitle }) {
  if (!isAdmin() || !PARTS.includes(part)) {
    show(main, h('div', { class: 'page' }, h('h1', { tabindex: '-1' }, t(isAdmin() ? 'title.missing' : 'admin.only')), h('p', {}, h('a', { href: '#/rooms' }, t('room.back')))));
    return;
  }
  style();
  const title = t(`admin.${part}`);
  setTitle(title);
  const place = h('div', { class: 'page wide' });
  const state = h('span', { class: 'hint', role: 'status' });
  show(main,
    h('header', { class: 'head' }, h('h1', { tabindex: '-1' }, title), state),
    h('nav', { class: 'parts', 'aria-label': t('nav.operate') }, PARTS.map((name) => h('a', {
      href: `#/admin/${name}`, 'aria-current': name === part && 'page',
    }, t(`admin.${name}`)))),
    place);
  const { draw } = await import(`../admin/${part}.js`);
  if (!signal.aborted) await draw({ place, state, signal });
}

function style() {
  if (document.getElementById('admin-style')) return;
  document.head.append(h('link', { id: 'admin-style', rel: 'stylesheet', href: new URL('../admin.css', import.meta.url).href }));
}
