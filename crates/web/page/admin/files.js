// The agents' files that cannot be used.

import { get, post } from '../lib/api.js';
import { button, h, notify, redraw } from '../lib/dom.js';
import { all, attempt, every, load } from '../lib/screen.js';
import { t } from '../lib/words.js';

/** Shows the problems, and reads them every few seconds. */
export async function draw({ place, signal }) {
  const list = h('div', {});
  place.append(list);
  const read = async () => {
    const [{ errors }, agents] = await Promise.all([get('/agents/config-errors', { signal }), all('/agents', signal)]);
    return { errors: Object.entries(errors), agents: new Map(agents.map(({ id, name }) => [name, id])) };
  };
  await load(list, signal, read, render);
  every(5000, signal, async () => {
    const data = await read().catch(() => null);
    if (data) redraw(list, render(data));
  });
}

function render({ errors, agents }) {
  if (errors.length === 0) return [h('p', { class: 'empty' }, t('files.valid', { count: agents.size }))];
  return [h('p', {}, t('files.last-good')), h('ul', { class: 'rooms' }, errors.map(([name, text]) => h('li', {},
    h('div', { class: 'grow' }, h('bdi', { class: 'name' }, name), h('pre', { class: 'problem', tabindex: '0' }, text)),
    agents.has(name) && button(t('agent.reload'), () => reload(agents.get(name)), { 'aria-label': t('files.reload', { name }) }))))];
}

async function reload(id) {
  if (await attempt(() => post(`/agents/${id}/reload`))) notify(t('agent.reloaded'));
}
