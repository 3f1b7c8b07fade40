// The caller's rooms, read every five seconds while the tab is visible.

import { get } from './api.js';
import { caller } from './session.js';
import { every } from './screen.js';

/** Events of the list: `changed`, with the list as its detail. */
export const events = new EventTarget();

/** The rooms as the server lists them: unread first, then by activity. Null before the first read. */
export let list = null;
let text = '';

/** Reads the list now. Failures are left to the next read. */
export async function refresh() {
  if (!caller) return;
  const { token } = caller;
  const rooms = await get('/rooms').catch(() => null);
  // The answer for another caller must not be shown.
  if (!rooms || caller?.token !== token) return;
  const read = JSON.stringify(rooms);
  if (read === text) return;
  text = read;
  list = rooms;
  events.dispatchEvent(new CustomEvent('changed', { detail: list }));
}

/** Reads the list until `signal` aborts. */
export function watch(signal) {
  signal.addEventListener('abort', () => {
    list = null;
    text = '';
  });
  every(5000, signal, refresh);
}

/** Returns the number of rooms with messages that the caller has not read. */
export function unread() {
  return (list ?? []).filter((room) => room.has_unread).length;
}
