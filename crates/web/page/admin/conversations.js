// The rooms in which agents compose now.

import { post } from '../lib/api.js';
import { button, h, setText } from '../lib/dom.js';
import { attempt } from '../lib/screen.js';
import * as rooms from '../lib/rooms.js';
import { bytes, number, t } from '../lib/words.js';
import { live } from './live.js';
import { Table } from './table.js';

/** Shows the conversations. */
export function draw({ place, state, signal }) {
  const totals = h('p', {});
  const none = h('p', { class: 'empty' }, t('conversations.none'));
  const table = new Table(t('admin.conversations'), [
    { isHead: true, label: t('conversations.room'), cell: ({ room_id }) => h('a', { href: `#/rooms/${room_id}` }, h('bdi', {}, nameOf(room_id))) },
    { label: t('conversations.composing'), text: ({ agents }) => agents.filter(({ is_waiting }) => !is_waiting).map(({ name, bytes: count }) => `${name} (${bytes(count)})`).join(', ') || '–' },
    { label: t('conversations.waiting'), text: ({ agents }) => agents.filter(({ is_waiting }) => is_waiting).map(({ name }) => name).join(', ') || '–' },
    { label: t('cache.actions'), cell: ({ room_id }) => button(t('room.pause'), () => attempt(() => post(`/rooms/${room_id}/pause`)), { 'aria-label': t('conversations.pause', { name: nameOf(room_id) }) }) },
  ]);
  place.append(totals, none, table.element);
  live({
    signal, state,
    tick: ({ conversations: { running, composing, waiting, rooms: list } }) => {
      setText(totals, t('conversations.totals', { running: number(running), composing: number(composing), waiting: number(waiting) }));
      none.hidden = list.length > 0;
      table.element.hidden = list.length === 0;
      table.update(list.map((room) => [String(room.room_id), room]));
    },
  });
}

function nameOf(id) {
  return rooms.list?.find((room) => room.id === id)?.name ?? t('conversations.number', { id: String(id) });
}
