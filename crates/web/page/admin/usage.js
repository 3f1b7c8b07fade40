// The tokens that answers used, by model, day, room, agent and owner.

import { get } from '../lib/api.js';
import { choice, h } from '../lib/dom.js';
import { load } from '../lib/screen.js';
import { duration, number, t } from '../lib/words.js';
import { live, quantile } from './live.js';
import { Table } from './table.js';

const KINDS = ['models', 'days', 'rooms', 'agents', 'owners'];

/** Shows the figures of the models since the start, and the stored usage of some days. */
export function draw({ place, state, signal }) {
  const models = new Table(t('usage.models-now'), [
    { isHead: true, label: t('usage.model'), text: ({ model }) => model },
    { label: t('usage.asks'), text: ({ asks }) => number(asks), sort: ({ asks }) => asks },
    { label: t('usage.failures'), text: ({ failures }) => number(failures), sort: ({ failures }) => failures },
    ...tokens(),
    { label: t('usage.cost'), text: ({ cost }) => costText(cost) },
    ...[['first_token', 0.5], ['first_token', 0.9], ['duration', 0.9]].map(([name, q]) => ({
      label: t(`usage.${name}`, { q: `p${q * 100}` }), text: (row) => atMost(quantile(row[name], q)), sort: (row) => quantile(row[name], q) ?? 0,
    })),
  ]);
  const none = h('p', { class: 'empty' }, t('usage.none'));
  const stored = h('div', {});
  const days = choice([['1', t('usage.today')], ['7', t('usage.days', { count: 7 })], ['30', t('usage.days', { count: 30 })]], '7', () => read(), { 'aria-label': t('usage.span') });
  place.append(h('h2', {}, t('usage.models-now')), none, h('div', { class: 'table-place' }, models.element), h('h2', {}, t('usage.stored')), days, stored);
  live({
    signal, state,
    tick: ({ models: list }) => {
      none.hidden = list.length > 0;
      models.element.hidden = list.length === 0;
      models.update(list.map((row) => [row.model, row]));
    },
  });
  function read() {
    return load(stored, signal, () => get(`/usage?days=${days.value}`, { signal }), (usage) => KINDS.flatMap((kind) => table(kind, usage[kind])));
  }
  read();
}

function costText(cost) {
  const amounts = Object.entries(cost);
  if (amounts.length === 0) return t('usage.no-price');
  return amounts.map(([currency, amount]) => `${number(amount, { minimumFractionDigits: 2, maximumFractionDigits: 4 })} ${currency}`).join(', ');
}

function tokens() {
  return ['input_tokens', 'output_tokens', 'cached_tokens'].map((name) => ({
    label: t(`usage.${name}`), text: (row) => number(row[name]), sort: (row) => row[name],
  }));
}

function table(kind, rows) {
  if (rows.length === 0) return [];
  const shown = new Table(t(`usage.by-${kind}`), [
    { isHead: true, label: t(`usage.by-${kind}`), text: ({ value }) => value },
    { label: t('usage.asks'), text: ({ requests }) => number(requests), sort: ({ requests }) => requests },
    ...tokens(),
  ]);
  shown.update(rows.map((row) => [row.value, row]));
  return [h('h3', {}, t(`usage.by-${kind}`)), h('div', { class: 'table-place' }, shown.element)];
}

function atMost(seconds) {
  if (seconds === null) return '–';
  return seconds === Infinity ? t('usage.longer') : t('usage.at-most', { time: duration(seconds) });
}
