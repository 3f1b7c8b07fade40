// The cache: its regions with live figures, and what an operator can do with them.

import { patch, post } from '../lib/api.js';
import { button, choice, field, h, notify, setAttribute, setText } from '../lib/dom.js';
import { confirm, confirmTyped, dialog, menu } from '../lib/dialog.js';
import { attempt } from '../lib/screen.js';
import { bytes, duration, moment, number, percent, t } from '../lib/words.js';
import { Sparkline } from './chart.js';
import { showKeys } from './keys.js';
import { Series, live, share } from './live.js';
import { Table, legend } from './table.js';

/** The spans of the hit rate in all, in seconds. */
const SPANS = [1, 10, 60, 600];

/** Shows the cache. */
export function draw({ place, state, signal }) {
  const series = new Series();
  const sparks = new Map();
  const totals = h('dl', { class: 'totals' });
  const banner = h('div', { class: 'bar warn', role: 'status', hidden: true });
  const filter = h('input', { type: 'search', 'aria-label': t('filter'), placeholder: t('filter'), on: { input: () => table.filter(filter.value) } });
  let previous = new Map();
  const rate = (name) => (row) => row.rates?.[name] ?? 0;
  const counted = (name) => ({ name, label: t(`cache.${name}`), text: ({ stats }) => number(stats[name]), sort: ({ stats }) => stats[name] });
  const columns = [
    { isHead: true, label: t('cache.region'), sort: null, cell: ({ name, data }) => h('span', { title: data }, name, h('small', { class: 'hint what' }, data)) },
    { label: t('cache.state'), text: stateOf, change: (cell, row) => cell.classList.toggle('problem', !row.is_enabled) },
    { label: t('cache.hit-rate'), text: ({ stats }) => rateText(share(stats)), sort: ({ stats }) => share(stats) ?? -1 },
    { label: t('cache.hits-a-second'), text: (row) => number(rate('hits')(row)), sort: rate('hits') },
    { label: t('cache.misses-a-second'), text: (row) => number(rate('misses')(row)), sort: rate('misses') },
    { label: t('cache.loads-a-second'), text: (row) => number(rate('loads')(row)), sort: rate('loads') },
    { label: t('cache.loading'), text: loading, sort: (row) => row.loading },
    counted('size'),
    { label: t('cache.weight'), text: weight, sort: ({ stats, capacity }) => stats.weight / capacity },
    { label: t('cache.ttl'), text: (row) => duration(row.ttl_seconds), sort: (row) => row.ttl_seconds },
    { label: t('cache.windows'), text: windows, sort: ({ stats }) => stats.open_windows + stats.unknown_windows, change: (cell, { stats }) => cell.classList.toggle('problem', unknown(stats) > 0) },
    counted('invalidations'),
    { label: t('cache.evictions'), text: ({ stats }) => number(stats.evicted_by_capacity), sort: ({ stats }) => stats.evicted_by_capacity },
    counted('refused_stores'), counted('load_failures'),
    { label: t('cache.last-hour'), cell: ({ name }) => sparks.get(name)?.element },
    { label: t('cache.actions'), cell: (row) => actions(row.name, () => current.get(row.name)) },
  ];
  const table = new Table(t('cache.caption'), columns);
  let current = new Map();
  place.append(
    banner, totals,
    h('div', { class: 'line' }, filter,
      button(t('cache.invalidate'), invalidate), button(t('cache.clean-up'), cleanUp),
      button(t('cache.clear-all'), clearAll, { class: 'danger' })),
    h('div', { class: 'table-place' }, table.element),
    legend(['hit-rate', 'loading', 'size', 'weight', 'windows', 'invalidations', 'evictions', 'refused_stores', 'load_failures', 'last-hour']
      .map((name) => [t(`cache.${name}`), t(`cache.${name}-legend`)])));

  live({
    signal, state,
    overview: (figures) => {
      series.begin(figures);
      for (const [name, steps] of Object.entries(figures.history.regions)) {
        if (!sparks.has(name)) sparks.set(name, new Sparkline(steps));
      }
      for (const { name } of figures.regions) if (!sparks.has(name)) sparks.set(name, new Sparkline([]));
    },
    tick: (figures) => {
      series.add(figures);
      const at = Date.parse(figures.at);
      current = new Map(figures.regions.map((region) => {
        const before = previous.get(region.name);
        const seconds = before ? (at - before.at) / 1000 : 0;
        const rates = seconds > 0 && Object.fromEntries(['hits', 'misses', 'loads'].map((name) => [name, Math.round((region.stats[name] - before.stats[name]) / seconds)]));
        return [region.name, { ...region, at, rates }];
      }));
      extendSparks(sparks, current);
      previous = current;
      table.update([...current]);
      drawTotals(totals, series, figures);
      drawBanner(banner, figures);
    },
  });
}

const sparkSteps = new WeakMap();

/** Adds a step to each line every ten seconds. */
function extendSparks(sparks, regions) {
  for (const [name, { at, stats }] of regions) {
    const spark = sparks.get(name);
    const now = [stats.hits, stats.misses, stats.loads, stats.load_failures];
    const last = sparkSteps.get(spark);
    if (!last) sparkSteps.set(spark, { at, counts: now });
    else if (at - last.at >= 10_000) {
      spark.add(now.map((count, index) => count - last.counts[index]));
      sparkSteps.set(spark, { at, counts: now });
    }
  }
}

function drawTotals(totals, series, { regions }) {
  const sum = (name) => regions.reduce((total, { stats }) => total + stats[name], 0);
  const pairs = [
    ...SPANS.map((span) => [t('cache.hit-rate-of', { span: duration(span) }), rateText(share(series.last(span)))]),
    [t('cache.saved'), number(sum('hits'))],
    [t('cache.loads'), number(sum('loads'))],
    [t('cache.loading'), number(regions.reduce((total, { loading }) => total + loading, 0))],
    [t('cache.open-windows'), number(sum('open_windows'))],
    [t('cache.unknown-windows'), number(sum('unknown_windows') + sum('unknown_creates'))],
  ];
  if (totals.childElementCount !== pairs.length) {
    totals.replaceChildren(...pairs.map(([label]) => h('div', {}, h('dt', {}, label), h('dd'))));
  }
  pairs.forEach(([, text], index) => setText(totals.children[index].lastChild, text));
}

function drawBanner(banner, { regions, store_is_healthy }) {
  const off = regions.filter(({ is_enabled }) => !is_enabled);
  const unknownIn = regions.filter(({ stats }) => unknown(stats) > 0);
  const texts = [
    !store_is_healthy && t('cache.store-lost'),
    ...off.filter(({ off_by_hand }) => off_by_hand).map(({ name, off_by_hand: { since, user } }) => t('cache.off-by-hand', { name, user, time: moment(since) })),
    ...unknownIn.map(({ name }) => t('cache.unknown-in', { name })),
  ].filter(Boolean);
  banner.hidden = texts.length === 0;
  setText(banner, texts.join(' '));
}

function unknown(stats) {
  return stats.unknown_windows + stats.unknown_creates;
}

function rateText(value) {
  return value === null ? '–' : percent(value);
}

function stateOf({ is_enabled, off_by_hand }) {
  if (is_enabled) return t('cache.on');
  return off_by_hand ? t('cache.off') : t('cache.off-store');
}

function loading({ loading, oldest_load_seconds }) {
  return loading ? t('cache.loading-since', { count: loading, age: duration(oldest_load_seconds) }) : '0';
}

function weight({ unit, stats, capacity }) {
  const form = unit === 'bytes' ? bytes : number;
  return t('cache.of', { part: form(stats.weight), whole: form(capacity) });
}

function windows({ stats }) {
  const open = number(stats.open_windows + stats.open_creates);
  return unknown(stats) ? t('cache.windows-unknown', { open, count: unknown(stats) }) : open;
}

function actions(name, region) {
  return menu(t('cache.actions-of', { name }), () => [
    [t('cache.keys', { name }), () => showKeys(name, region().unit)],
    [t('cache.clear', { name }), () => clear(name)],
    region().is_enabled
      ? [t('cache.switch-off', { name }), () => setEnabled(name, false), { class: 'danger' }]
      : [t('cache.switch-on', { name }), () => setEnabled(name, true)],
  ]);
}

async function clear(name) {
  if (!await confirmTyped(t('cache.clear', { name }), t('cache.clear-ask'), name, t('cache.clear', { name }))) return;
  const done = await attempt(() => post('/cache/invalidate', { region: name }));
  if (done) notify(t('cache.removed', { count: done.invalidated }));
}

async function setEnabled(name, enabled) {
  if (!enabled && !await confirm(t('cache.switch-off', { name }), t('cache.switch-off-ask'), t('cache.switch-off', { name }))) return;
  await attempt(() => patch(`/cache/regions/${name}`, { enabled }));
}

async function cleanUp() {
  const done = await attempt(() => post('/cache/cleanup'));
  if (done) notify(t('cache.removed', { count: done.removed }));
}

async function clearAll() {
  const word = t('cache.clear-all-word');
  if (!await confirmTyped(t('cache.clear-all'), t('cache.clear-ask'), word, t('cache.clear-all'))) return;
  const done = await attempt(() => post('/cache/clear'));
  if (done) notify(t('cache.removed', { count: done.cleared }));
}

/** Asks what to invalidate, and does it. */
async function invalidate() {
  const kinds = ['key', 'prefix', 'pattern', 'room_id', 'agent_id'].map((kind) => [kind, t(`cache.by-${kind}`)]);
  const body = await dialog(t('cache.invalidate'), (close) => {
    const value = h('input', { type: 'text', required: true, autocomplete: 'off', spellcheck: 'false' });
    const kind = choice(kinds, 'key', () => {
      const isId = kind.value.endsWith('_id');
      setAttribute(value, 'inputmode', isId && 'numeric');
      setAttribute(value, 'pattern', isId && '[0-9]+');
    });
    return h('form', {
      on: {
        submit: (event) => {
          event.preventDefault();
          close({ [kind.value]: kind.value.endsWith('_id') ? Number(value.value) : value.value.trim() });
        },
      },
    },
    field(t('cache.by'), kind), field(t('cache.value'), value, t('cache.value-hint')),
    h('div', { class: 'actions' }, button(t('cancel'), () => close(null)), h('button', { type: 'submit', class: 'danger' }, t('cache.invalidate'))));
  });
  if (!body) return;
  const done = await attempt(() => post('/cache/invalidate', body));
  if (done) notify(t('cache.removed', { count: done.invalidated }));
}
