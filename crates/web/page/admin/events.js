// The lines of the server's log, as they are written.

import { button, choice, h, setText } from '../lib/dom.js';
import { moment, number, t } from '../lib/words.js';
import { live } from './live.js';

/** The most lines that are kept. */
const MOST = 500;
const LEVELS = ['INFO', 'WARN', 'ERROR'];

/** Creates the element of a line. */
export function line({ at, level, target, message, fields }) {
  return h('li', { class: `event ${level.toLowerCase()}`, 'data-level': level },
    h('time', { datetime: at }, moment(at)), h('span', { class: 'badge' }, level), h('span', { class: 'hint' }, target),
    h('span', { class: 'grow', dir: 'auto' }, message, ' ',
      Object.entries(fields).map(([name, value]) => h('code', {}, `${name}=${value} `))));
}

/** Shows the lines, newest first. */
export function draw({ place, state, signal }) {
  const kept = [];
  let isPaused = false;
  let held = 0;
  const list = h('ol', { class: 'lines', 'aria-label': t('admin.events') });
  const none = h('p', { class: 'empty' }, t('events.none'));
  const level = choice(LEVELS.map((name) => [name, t(`events.${name}`)]), 'INFO', () => redraw(), { 'aria-label': t('events.level') });
  const filter = h('input', { type: 'search', 'aria-label': t('filter'), placeholder: t('filter'), on: { input: () => redraw() } });
  const pause = button(t('events.pause'), () => {
    isPaused = !isPaused;
    held = 0;
    setText(pause, isPaused ? t('events.resume') : t('events.pause'));
    if (!isPaused) redraw();
  });
  place.append(h('div', { class: 'line' }, level, filter, pause, button(t('events.download'), download)), none, list);

  const fits = (data) => LEVELS.indexOf(data.level) >= LEVELS.indexOf(level.value)
    && `${data.target} ${data.message} ${JSON.stringify(data.fields)}`.toLowerCase().includes(filter.value.toLowerCase());

  function redraw() {
    list.replaceChildren(...kept.filter(fits).map(line).reverse());
    none.hidden = list.childElementCount > 0;
  }

  function download() {
    const text = kept.map((data) => JSON.stringify(data)).join('\n');
    const address = URL.createObjectURL(new Blob([text], { type: 'application/x-ndjson' }));
    h('a', { href: address, download: 'greenroom-events.ndjson' }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  live({
    signal, state,
    line: (data) => {
      kept.push(data);
      if (kept.length > MOST) kept.shift();
      if (isPaused) {
        held += 1;
        setText(pause, `${t('events.resume')} (${number(held)})`);
        return;
      }
      if (!fits(data)) return;
      none.hidden = true;
      list.prepend(line(data));
      if (list.childElementCount > MOST) list.lastChild.remove();
    },
  });
}
