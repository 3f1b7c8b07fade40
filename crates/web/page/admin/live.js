// The live view: figures each second, and the lines of the log.

import { Failure } from '../lib/api.js';
import { notify, setText } from '../lib/dom.js';
import { sentence } from '../lib/screen.js';
import { follow } from '../lib/stream.js';
import { t, time } from '../lib/words.js';

/**
 * Follows the live view until `signal` aborts.
 *
 * `overview` gets the first figures with their history, `tick` all figures, and `line` the lines of
 * the log. `state` is the element that shows the time of the newest figures.
 */
export function live({ signal, state, overview = () => {}, tick = () => {}, line = () => {} }) {
  let lastLine = 0;
  let startedAt = null;
  follow(() => '/admin/events', {
    signal,
    headers: () => ({ 'Last-Event-ID': String(lastLine) }),
    receive: (name, data) => {
      if (name === 'overview') {
        // The program that starts again counts its lines anew.
        if (startedAt !== null && startedAt !== data.started_at) lastLine = 0;
        startedAt = data.started_at;
        overview(data);
      }
      if (name === 'line') {
        if (data.id <= lastLine) return;
        lastLine = data.id;
        line(data);
      } else {
        tick(data);
        setText(state, t('admin.live', { time: time(data.at) }));
      }
    },
    refused: (error) => error instanceof Failure && notify(sentence(error)),
  });
}

/** The counts of the cache over time, for rates and hit rates over several spans. */
export class Series {
  #samples = [];

  /** Begins anew with the history before `figures`. */
  begin({ at, regions, history }) {
    const now = Date.parse(at);
    const step = history.every_seconds * 1000;
    const counts = totals(regions);
    this.#samples = [{ at: now, ...counts }];
    const steps = Object.values(history.regions);
    const length = Math.max(0, ...steps.map((region) => region.length));
    let { hits, misses, loads } = counts;
    for (let back = 1; back <= Math.min(length, 120); back += 1) {
      for (const region of steps) {
        const [h = 0, m = 0, l = 0] = region.at(-back) ?? [];
        hits -= h;
        misses -= m;
        loads -= l;
      }
      this.#samples.unshift({ at: now - back * step, hits, misses, loads });
    }
  }

  add({ at, regions }) {
    this.#samples.push({ at: Date.parse(at), ...totals(regions) });
    const first = this.#samples.at(-1).at - 1_100_000;
    while (this.#samples[0].at < first) this.#samples.shift();
  }

  /** Returns the counts of the last so many seconds, and the length of the span that is known. */
  last(seconds) {
    const end = this.#samples.at(-1);
    const begin = this.#samples.findLast(({ at }) => at <= end.at - seconds * 1000) ?? this.#samples[0];
    const span = (end.at - begin.at) / 1000;
    return { span, hits: end.hits - begin.hits, misses: end.misses - begin.misses, loads: end.loads - begin.loads };
  }
}

function totals(regions) {
  const sum = (name) => regions.reduce((total, { stats }) => total + stats[name], 0);
  return { hits: sum('hits'), misses: sum('misses'), loads: sum('loads') };
}

/** Returns hits as a share of requests; null without requests. */
export function share({ hits, misses }) {
  return hits + misses ? hits / (hits + misses) : null;
}

/** Returns the bound below which the share `q` of a histogram's counts is; null without counts. */
export function quantile({ bounds, counts }, q) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let below = 0;
  for (let index = 0; index < bounds.length; index += 1) {
    below += counts[index];
    if (below >= all * q) return bounds[index];
  }
  return Infinity;
}

/** Returns a histogram of what was counted between two. */
export function difference(now, before) {
  return { bounds: now.bounds, counts: now.counts.map((count, index) => count - (before?.counts[index] ?? 0)) };
}
