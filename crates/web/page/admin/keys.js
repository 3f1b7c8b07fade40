// The keys that a region of the cache has in memory, in a dialog: each with its age, the time left
// and its weight.

import { get, post } from '../lib/api.js';
import { button, h, notify } from '../lib/dom.js';
import { dialog } from '../lib/dialog.js';
import { attempt, load } from '../lib/screen.js';
import { bytes, duration, number, t } from '../lib/words.js';
import { Table } from './table.js';

/** Shows the keys of a region. `unit` is that of its weights. */
export function showKeys(region, unit) {
  let reading = new AbortController();
  return dialog(t('cache.keys', { name: region }), (close) => {
    const contains = h('input', { type: 'search', autocomplete: 'off', spellcheck: 'false', 'aria-label': t('keys.contains'), placeholder: t('keys.contains') });
    const found = h('div', { class: 'keys' });
    const read = () => {
      // An earlier search that takes longer must not replace this one.
      reading.abort();
      reading = new AbortController();
      const { signal } = reading;
      const query = new URLSearchParams({ region, contains: contains.value.trim() });
      return load(found, signal, () => get(`/cache/keys?${query}`, { signal }), (answer) => list(answer, unit, read));
    };
    read();
    return h('form', { on: { submit: (event) => { event.preventDefault(); read(); } } },
      h('div', { class: 'line' }, contains, h('button', { type: 'submit' }, t('keys.search'))),
      found,
      h('div', { class: 'actions' }, button(t('close'), () => close(null))));
  }, { class: 'wide' }).finally(() => reading.abort());
}

function list({ count, keys }, unit, readAgain) {
  if (count === 0) return [h('p', { class: 'empty' }, t('keys.none'))];
  const table = new Table(t('keys.caption'), [
    { isHead: true, label: t('keys.key'), text: ({ key }) => key, sort: null },
    { label: t('keys.age'), text: ({ age_seconds }) => duration(age_seconds), sort: ({ age_seconds }) => age_seconds },
    { label: t('keys.left'), text: ({ seconds_left }) => seconds_left > 0 ? duration(seconds_left) : t('keys.expired'), sort: ({ seconds_left }) => seconds_left },
    { label: t('keys.weight'), text: ({ is_absence, weight }) => is_absence ? t('keys.absence') : (unit === 'bytes' ? bytes : number)(weight), sort: ({ weight }) => weight },
    { label: t('cache.actions'), cell: ({ key }) => button(t('cache.invalidate'), () => invalidate(key, readAgain), { 'aria-label': t('keys.invalidate', { key }) }) },
  ]);
  table.update(keys.map((row) => [row.key, row]));
  return [
    h('p', { role: 'status' }, t('keys.count', { shown: number(keys.length), count: number(count) })),
    h('div', { class: 'table-place' }, table.element),
  ];
}

async function invalidate(key, readAgain) {
  const done = await attempt(() => post('/cache/invalidate', { key }));
  if (!done) return;
  notify(t('cache.removed', { count: done.invalidated }));
  readAgain();
}
