// The agents of a room: who is in it, who composes, and who can be invited.

import { del, picture, post } from '../lib/api.js';
import { button, h, iconButton } from '../lib/dom.js';
import { dialog } from '../lib/dialog.js';
import { all, attempt, face } from '../lib/screen.js';
import { isAdmin } from '../lib/session.js';
import { t } from '../lib/words.js';

/** Creates the list of the members. `composing` has the ids of the agents that compose. */
export function memberList(room, members, composing) {
  if (members.length === 0) return h('p', { class: 'hint' }, t('members.none'));
  return h('ul', { class: 'members' }, members.map((agent) => h('li', {},
    face(agent.name, picture(agent.name, agent.profile_pic)),
    h('span', { class: 'grow' },
      h('a', { href: `#/agents/${agent.id}` }, h('bdi', {}, agent.name)),
      h('span', { class: 'badges' }, badges(agent, composing))),
    isAdmin() && iconButton('close', t('members.remove', { name: agent.name }), () => attempt(() => del(`/rooms/${room}/agents/${agent.id}`))))));
}

function badges({ id, is_critic, interrupt_every_turn, priority, transparent }, composing) {
  return [
    composing.has(id) && h('span', { class: 'badge good' }, t('members.composes')),
    is_critic && h('span', { class: 'badge' }, t('agent.critic')),
    interrupt_every_turn && h('span', { class: 'badge' }, t('agent.interrupts')),
    priority > 0 && h('span', { class: 'badge' }, t('agent.first')),
    transparent && h('span', { class: 'badge' }, t('agent.transparent')),
  ];
}

/** Lets the reader choose agents, and adds them to the room. */
export async function invite(room, members) {
  const agents = await attempt(() => all('/agents'));
  if (!agents) return;
  const inside = new Set(members.map(({ id }) => id));
  const outside = agents.filter(({ id }) => !inside.has(id));
  const chosen = await dialog(t('members.invite'), (close) => choose(outside, close), { class: 'tall' });
  for (const id of chosen ?? []) {
    if (await attempt(() => post(`/rooms/${room}/agents/${id}`)) === undefined) return;
  }
}

function choose(agents, close) {
  if (agents.length === 0) return h('p', {}, t('members.all'));
  const chosen = new Set();
  const act = button(t('members.invite-chosen', { count: 0 }), () => close([...chosen]), { class: 'primary', disabled: true });
  const list = h('ul', { class: 'choices' });
  const filter = h('input', { type: 'search', 'aria-label': t('filter'), placeholder: t('filter'), dir: 'auto', on: { input: () => show() } });
  const groups = Map.groupBy(agents, ({ group }) => group ?? '');
  const change = (ids, isIn) => {
    ids.forEach((id) => (isIn ? chosen.add(id) : chosen.delete(id)));
    act.disabled = chosen.size === 0;
    act.textContent = t('members.invite-chosen', { count: chosen.size });
  };
  const box = (label, ids, note) => {
    const input = h('input', { type: 'checkbox', checked: ids.every((id) => chosen.has(id)), on: { change: () => { change(ids, input.checked); if (ids.length > 1) show(); } } });
    return h('li', {}, h('label', { class: 'check' }, input, h('bdi', {}, label), note && h('span', { class: 'hint clip' }, note)));
  };
  const show = () => {
    const typed = filter.value.toLocaleLowerCase();
    const fits = ({ name, group }) => `${name} ${group ?? ''}`.toLocaleLowerCase().includes(typed);
    list.replaceChildren(...[...groups].flatMap(([group, members]) => {
      const shown = members.filter(fits);
      const whole = group && shown.length > 1 ? [box(t('members.group', { group }), shown.map(({ id }) => id))] : [];
      return [...whole, ...shown.map((agent) => box(agent.name, [agent.id], agent.in_a_nutshell))];
    }));
  };
  show();
  return [filter, list, h('div', { class: 'actions' }, button(t('cancel'), () => close(null)), act)];
}
