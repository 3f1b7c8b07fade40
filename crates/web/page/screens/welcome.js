// The first screen of a person without rooms.

import { Failure, get, picture, post, reads } from '../lib/api.js';
import { button, h, setText, show } from '../lib/dom.js';
import { attempt, every, face, heading, load } from '../lib/screen.js';
import * as rooms from '../lib/rooms.js';
import { isAdmin } from '../lib/session.js';
import { percent, t } from '../lib/words.js';

/** The number of agents in the first room. */
const FIRST = 3;

/** Shows the ways to begin. */
export function open({ main, signal }) {
  const place = h('div', { class: 'cards' });
  const figures = h('p', { class: 'hint' });
  show(main, heading(t('welcome.title')), h('div', { class: 'page' }, h('p', {}, t('welcome.text')), place, figures));
  load(place, signal, () => get('/agents', { signal }), (agents) => (agents.length ? ways(agents) : noAgents()));
  every(1000, signal, () => setText(figures, reads.all ? t('welcome.reads', { count: reads.all, share: percent(reads.fromMemory / reads.all) }) : ''));
}

function ways(agents) {
  const first = agents.slice(0, FIRST);
  return [
    h('section', { class: 'card' },
      h('h2', {}, t('welcome.room')),
      h('p', { class: 'faces' }, first.map((agent) => face(agent.name, picture(agent.name, agent.profile_pic), 'large'))),
      h('p', {}, t('welcome.room-text', { count: first.length })),
      button(t('welcome.room-open'), ({ target }) => openRoom(first, target), { class: 'primary' })),
    h('section', { class: 'card' },
      h('h2', {}, t('welcome.direct')),
      h('p', {}, t('welcome.direct-text')),
      h('div', { class: 'choices' }, agents.slice(0, 6).map((agent) => button(agent.name, () => openDirect(agent), { dir: 'auto' })))),
    isAdmin() && h('section', { class: 'card' },
      h('h2', {}, t('welcome.cache')),
      h('p', {}, t('welcome.cache-text')),
      h('a', { class: 'button', href: '#/admin/cache' }, t('welcome.cache-open'))),
  ].filter(Boolean);
}

function noAgents() {
  return [h('section', { class: 'card' }, h('h2', {}, t('welcome.no-agents')), h('p', {}, t('welcome.no-agents-text')),
    isAdmin() && h('p', {}, h('a', { href: '#/agents/new' }, t('agents.new')), ' · ', h('a', { href: '#/admin/files' }, t('admin.files'))))];
}

async function openRoom(agents, control) {
  control.disabled = true;
  const room = await attempt(() => create(t('welcome.room-name')));
  for (const { id } of room ? agents : []) await attempt(() => post(`/rooms/${room.id}/agents/${id}`));
  control.disabled = false;
  if (!room) return;
  rooms.refresh();
  location.hash = `#/rooms/${room.id}?hello`;
}

/** Creates a room with the first free name. */
async function create(name) {
  for (let number = 1; ; number += 1) {
    try {
      return await post('/rooms', { name: number === 1 ? name : `${name} ${number}` });
    } catch (error) {
      if (!(error instanceof Failure) || error.status !== 409 || number > 50) throw error;
    }
  }
}

/** Opens the room in which the caller talks with one agent. */
export async function openDirect({ id }) {
  const room = await attempt(() => get(`/agents/${id}/direct-room`));
  if (!room) return;
  rooms.refresh();
  location.hash = `#/rooms/${room.id}`;
}
