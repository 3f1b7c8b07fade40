// The list of the caller's rooms.

import { del, post } from '../lib/api.js';
import { button, h, iconButton, redraw, show } from '../lib/dom.js';
import { confirmTyped, form } from '../lib/dialog.js';
import { attempt, heading } from '../lib/screen.js';
import * as rooms from '../lib/rooms.js';
import { isAdmin } from '../lib/session.js';
import { moment, t } from '../lib/words.js';

/** Shows the list, and draws it anew when it changes. */
export async function open({ main, signal }) {
  const list = h('ul', { class: 'rooms' });
  const filter = h('input', { type: 'search', dir: 'auto', 'aria-label': t('filter'), placeholder: t('filter'), on: { input: () => draw() } });
  show(main, heading(t('rooms.rooms'), button(t('rooms.new'), create, { class: 'primary' })), h('div', { class: 'page' }, filter, list));

  function draw() {
    if (!rooms.list) return;
    const typed = filter.value.toLocaleLowerCase();
    const found = rooms.list.filter(({ name }) => name.toLocaleLowerCase().includes(typed));
    redraw(list, found.map(item));
    if (rooms.list.length === 0) {
      list.replaceChildren(h('li', { class: 'empty' }, h('p', {}, t('rooms.none')), h('a', { class: 'button', href: '#/welcome' }, t('rooms.begin'))));
    }
  }

  rooms.events.addEventListener('changed', draw, { signal });
  draw();
  if (!rooms.list) await rooms.refresh();
}

function item(room) {
  const { id, name, owner_id, has_unread, last_activity_at, is_paused, is_finished, last_error } = room;
  return h('li', { class: has_unread && 'unread' },
    h('a', { class: 'grow', href: `#/rooms/${id}` },
      h('bdi', { class: 'name clip' }, name),
      h('span', { class: 'hint' }, last_activity_at ? moment(last_activity_at) : t('rooms.quiet'), isAdmin() && ` · ${owner_id}`)),
    has_unread && h('span', { class: 'badge good' }, t('rooms.unread')),
    is_paused && h('span', { class: 'badge' }, t('room.paused')),
    is_finished && h('span', { class: 'badge' }, t('room.finished')),
    last_error && h('span', { class: 'badge warn' }, t('rooms.error')),
    isAdmin() && iconButton('close', t('rooms.delete', { name }), () => remove(room)));
}

async function create() {
  const value = await form(t('rooms.new'), [
    { name: 'name', label: t('room.name'), required: true, maxlength: 200 },
    { name: 'limit', label: t('room.limit-label'), hint: t('room.limit-hint'), type: 'number', min: 0, step: 1 },
  ], t('rooms.create'));
  if (!value) return;
  const body = { name: value.name, max_interactions: value.limit === '' ? null : Number(value.limit) };
  const room = await attempt(() => post('/rooms', body));
  if (!room) return;
  rooms.refresh();
  location.hash = `#/rooms/${room.id}`;
}

async function remove({ id, name }) {
  if (!await confirmTyped(t('room.delete'), t('room.delete-ask'), name, t('room.delete'))) return;
  await attempt(() => del(`/rooms/${id}`));
  document.activeElement?.blur();
  rooms.refresh();
}
