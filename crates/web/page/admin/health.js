// The health of the server: its store, connections, responses and process.

import { h, setText } from '../lib/dom.js';
import { bytes, duration, moment, number, t } from '../lib/words.js';
import { difference, live, quantile } from './live.js';

/** Shows the figures. */
export function draw({ place, state, signal }) {
  const list = h('dl', { class: 'facts' });
  place.append(list);
  let before = null;
  live({
    signal, state,
    overview: (figures) => { before = figures.http.times; },
    tick: (figures) => {
      const pairs = facts(figures, difference(figures.http.times, before));
      if (list.childElementCount !== pairs.length) list.replaceChildren(...pairs.map(([label]) => h('div', {}, h('dt', {}, label), h('dd'))));
      pairs.forEach(([, text, isBad], index) => {
        const value = list.children[index].lastChild;
        setText(value, text);
        value.classList.toggle('problem', Boolean(isBad));
      });
    },
  });
}

function facts({ version, started_at, at, store_is_healthy, file_problems, http, process }, recent) {
  const time = (q) => {
    const seconds = quantile(recent, q);
    if (seconds === null) return '–';
    return seconds === Infinity ? t('usage.longer') : t('usage.at-most', { time: duration(seconds) });
  };
  return [
    [t('health.store'), store_is_healthy ? t('health.healthy') : t('health.lost'), !store_is_healthy],
    [t('health.nodes'), t('health.single')],
    [t('health.files'), file_problems === null ? '–' : number(file_problems), file_problems > 0],
    [t('health.version'), version],
    [t('health.up'), duration((Date.parse(at) - Date.parse(started_at)) / 1000)],
    [t('health.since'), moment(started_at)],
    [t('health.connections'), t('cache.of', { part: number(http.connections), whole: number(http.most_connections) }), http.connections > 0.9 * http.most_connections],
    [t('health.streams'), number(http.event_streams)],
    [t('health.polls'), number(http.waiting_polls)],
    ...Object.entries(http.responses).map(([status, count]) => [t('health.responses', { status }), number(count)]),
    [t('health.p50'), time(0.5)],
    [t('health.p99'), time(0.99)],
    [t('health.memory'), process.memory_bytes ? bytes(process.memory_bytes) : '–'],
    [t('health.descriptors'), process.open_descriptors ? number(process.open_descriptors) : '–'],
  ];
}
