// All agents, by their groups.

import { picture } from '../lib/api.js';
import { h, show } from '../lib/dom.js';
import { all, face, heading, load } from '../lib/screen.js';
import { isAdmin } from '../lib/session.js';
import { compare, t } from '../lib/words.js';

/** Shows the agents. */
export async function open({ main, signal }) {
  const place = h('div', {});
  const filter = h('input', { type: 'search', dir: 'auto', 'aria-label': t('filter'), placeholder: t('filter') });
  show(main,
    heading(t('agents.agents'), isAdmin() && h('a', { class: 'button primary', href: '#/agents/new' }, t('agents.new'))),
    h('div', { class: 'page' }, filter, place));
  await load(place, signal, () => all('/agents', signal), (agents) => {
    const groups = h('div', {});
    const draw = () => show(groups, grouped(agents, filter.value.toLocaleLowerCase()));
    filter.addEventListener('input', draw, { signal });
    draw();
    return groups;
  });
}

function grouped(agents, typed) {
  if (agents.length === 0) return h('p', {}, t('agents.none'));
  const fits = ({ name, group, in_a_nutshell }) => `${name} ${group ?? ''} ${in_a_nutshell}`.toLocaleLowerCase().includes(typed);
  const groups = Map.groupBy(agents.filter(fits), ({ group }) => group ?? '');
  return [...groups].sort(([a], [b]) => compare(a, b)).map(([group, members]) => h('section', {},
    h('h2', { dir: 'auto' }, group || t('agents.no-group')),
    h('ul', { class: 'cards' }, members.sort((a, b) => compare(a.name, b.name)).map(card))));
}

function card({ id, name, profile_pic, in_a_nutshell, is_critic }) {
  return h('li', { class: 'card agent-card' },
    face(name, picture(name, profile_pic), 'large'),
    h('div', { class: 'grow' },
      h('a', { href: `#/agents/${id}`, class: 'name' }, h('bdi', {}, name)),
      is_critic && h('span', { class: 'badge' }, t('agent.critic')),
      h('p', { class: 'hint clamp', dir: 'auto' }, in_a_nutshell)));
}
