// How a room works, the keys, and how the cache works.

import { address, get, reads } from '../lib/api.js';
import { h, show } from '../lib/dom.js';
import { heading } from '../lib/screen.js';
import { isAdmin } from '../lib/session.js';
import { number, percent, t } from '../lib/words.js';

/** The keys, and the texts that describe them. */
const KEYS = [['Enter', 'help.key-send'], ['Shift+Enter', 'help.key-line'], ['@', 'help.key-mention'], ['F6', 'help.key-region'],
  ['Alt+↑ ↓', 'help.key-room'], ['Ctrl+K', 'help.key-find'], ['↑ ↓ Home End', 'help.key-messages'], ['Esc', 'help.key-close']];

/** Shows the help. */
export async function open({ main, signal }) {
  const figures = h('p', {}, t('help.own', { count: reads.all, share: percent(reads.all ? reads.fromMemory / reads.all : 0) }));
  show(main, heading(t('title.help')), h('div', { class: 'page text' },
    h('h2', {}, t('help.room')), ['help.room-1', 'help.room-2', 'help.room-3'].map((key) => h('p', {}, t(key))),
    h('p', {}, h('a', { href: '#/welcome' }, t('help.welcome'))),
    h('h2', {}, t('help.keys')),
    h('dl', { class: 'keys' }, KEYS.map(([keys, key]) => h('div', {}, h('dt', {}, h('kbd', {}, keys)), h('dd', {}, t(key))))),
    h('h2', {}, t('help.cache')), ['help.cache-1', 'help.cache-2', 'help.cache-3'].map((key) => h('p', {}, t(key))),
    figures,
    h('h2', {}, t('help.more')),
    h('p', {}, h('a', { href: address('docs/') }, t('help.docs'))), h('p', { class: 'hint' }, t('help.licence'))));
  if (!isAdmin()) return;
  const { hits, total_requests: all } = await get('/cache/stats', { signal });
  figures.after(h('p', {}, t('help.all', { hits: number(hits), all: number(all) })));
}
