// Starts the page: shows the screen of the address, the navigation, and the state of the connection.

import { connection, get, post } from './lib/api.js';
import { button, forgetNotices, h, icon, notify, redraw, show } from './lib/dom.js';
import * as rooms from './lib/rooms.js';
import { errorBox, every } from './lib/screen.js';
import * as session from './lib/session.js';
import { compare, load, t } from './lib/words.js';

/** The screens: the pattern of the address, and the module that shows it. */
const SCREENS = [
  [/^\/login$/, 'login'],
  [/^\/welcome$/, 'welcome'],
  [/^\/rooms$/, 'rooms'],
  [/^\/rooms\/(\d+)$/, 'room'],
  [/^\/rooms\/(\d+)\/members$/, 'members'],
  [/^\/agents$/, 'agents'],
  [/^\/agents\/(\d+|new)$/, 'agent'],
  [/^\/settings$/, 'settings'],
  [/^\/help$/, 'help'],
  [/^\/admin\/(\w+)$/, 'admin'],
];

const main = document.getElementById('main');
const side = document.getElementById('side');
const bar = document.getElementById('offline');
let current = new AbortController();
let watching = null;
let title = '';
let shown = null;

try {
  await load();
} catch (error) {
  document.getElementById('failed').hidden = false;
  throw error;
}
applySettings();
const skip = document.getElementById('skip');
skip.textContent = t('skip');
skip.addEventListener('click', focusMain);
window.addEventListener('hashchange', open);
document.addEventListener('keydown', keydown);
session.events.addEventListener('changed', sessionChanged);
rooms.events.addEventListener('changed', () => { drawRooms(); drawTitle(); });
connection.addEventListener('offline', () => { bar.hidden = false; drawOffline(); });
connection.addEventListener('online', () => { bar.hidden = true; notify(t('connected')); });
connection.addEventListener('waiting', ({ detail }) => drawOffline(detail));
sessionChanged();

/** Applies the settings of looks to the page. */
function applySettings() {
  const { theme, textSize, motion } = session.settings;
  Object.assign(document.documentElement.dataset, { theme, textSize, motion });
}

function sessionChanged() {
  watching?.abort();
  watching = new AbortController();
  if (session.caller) {
    rooms.watch(watching.signal);
    every(3_600_000, watching.signal, renew);
  } else {
    forgetNotices();
    // The list of rooms is read while somebody is logged in. Before, this finds the server again.
    every(5000, watching.signal, () => !bar.hidden && get('/health').catch(() => {}));
  }
  drawSide();
  open();
  if (!session.caller) closeDialogs();
}

/** Gets a new token once a day, so that a guest keeps the rooms of this token. */
async function renew() {
  if (session.isOld()) await post('/auth/renew').then(session.renew, () => {});
}

function closeDialogs() {
  document.querySelectorAll('dialog').forEach((box) => box.close());
}

/** Shows the screen of the address. Without a session that is the login, which leads back. */
async function open() {
  const address = location.hash.slice(1) || '/rooms';
  const [path, query = ''] = (session.caller ? address : '/login').split('?');
  if (session.caller && path === '/login') {
    location.replace('#/rooms');
    return;
  }
  closeDialogs();
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const [pattern, name] = SCREENS.find(([pattern]) => pattern.test(path)) ?? [];
  const isFirst = shown === null;
  shown = path;
  main.dataset.screen = name ?? 'missing';
  main.replaceChildren();
  markCurrent(path);
  const setTitle = (text) => {
    if (signal.aborted) return;
    title = text;
    drawTitle();
  };
  setTitle(t(`title.${name ?? 'missing'}`));
  if (!name) {
    show(main, h('h1', { tabindex: '-1' }, t('title.missing')), h('p', {}, h('a', { href: '#/rooms' }, t('room.back'))));
    return;
  }
  try {
    const screen = await import(`./screens/${name}.js`).catch((error) => {
      // A browser may remember a failed import, so only a reload tries again.
      if (!signal.aborted) show(main, errorBox(error, () => location.reload()));
    });
    if (!screen || signal.aborted) return;
    await screen.open({ main, params: path.match(pattern).slice(1), query: new URLSearchParams(query), signal, setTitle });
  } catch (error) {
    if (!signal.aborted) show(main, errorBox(error, open));
  }
  // A reader of the screen hears its heading, unless the screen has put the focus elsewhere.
  if (!signal.aborted && !isFirst && !main.contains(document.activeElement)) main.querySelector('h1')?.focus();
}

function drawTitle() {
  const unread = rooms.unread();
  document.title = `${unread ? `(${unread}) ` : ''}${title ? `${title} · ` : ''}Greenroom`;
}

function drawSide() {
  side.hidden = !session.caller;
  side.setAttribute('aria-label', t('nav.nav'));
  const link = (path, name, picture) => h('a', { href: `#${path}`, 'data-path': path }, icon(picture), h('span', {}, t(name)));
  show(side,
    h('a', { class: 'brand', href: '#/rooms' }, h('img', { src: 'icon.svg', alt: '' }), 'Greenroom'),
    h('div', { class: 'links' },
      link('/rooms', 'nav.rooms', 'room'), link('/agents', 'nav.agents', 'agents'),
      session.isAdmin() && link('/admin/cache', 'nav.operate', 'gauge'),
      link('/settings', 'nav.settings', 'settings'), link('/help', 'nav.help', 'help')),
    h('ul', { class: 'room-list', 'aria-label': t('nav.rooms') }));
  drawRooms();
}

function drawRooms() {
  const list = side.querySelector('.room-list');
  if (!list) return;
  redraw(list, ...(rooms.list ?? []).slice(0, 100).map(({ id, name, has_unread }) => h('li', {},
    h('a', { href: `#/rooms/${id}`, 'data-path': `/rooms/${id}`, class: has_unread && 'unread' },
      h('bdi', { class: 'clip' }, name), has_unread && h('span', { class: 'dot' }, h('span', { class: 'unseen' }, t('rooms.unread')))))));
  markCurrent(shown ?? '');
}

function markCurrent(path) {
  const links = [...side.querySelectorAll('a[data-path]')];
  for (const link of links) {
    const own = link.dataset.path;
    const isSection = own === '/admin/cache' ? path.startsWith('/admin') : own === '/agents' && path.startsWith('/agents');
    if (own === path) link.setAttribute('aria-current', 'page');
    else if (isSection) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  }
}

let countdown = null;

/** Shows that the server is not reached. `until` is the time of the next attempt. */
function drawOffline(until) {
  clearInterval(countdown);
  if (bar.hidden) return;
  // The countdown is seen, but not said each second.
  const text = h('span', { class: 'grow', 'aria-hidden': 'true' });
  show(bar, text, h('span', { class: 'unseen' }, t('offline.trying')), button(t('offline.now'), () => {
    connection.dispatchEvent(new Event('retry'));
    rooms.refresh();
  }));
  const tick = () => {
    const seconds = Math.max(0, Math.ceil(((until ?? 0) - Date.now()) / 1000));
    text.textContent = seconds > 0 ? t('offline.trying-in', { count: seconds }) : t('offline.trying');
  };
  tick();
  countdown = setInterval(tick, 1000);
}

function focusMain() {
  (main.querySelector('h1') ?? main).focus();
}

/** Keys that work on each screen: F6 goes to the next region, Alt and an arrow to another room. */
function keydown(event) {
  if (event.key === 'F6') {
    event.preventDefault();
    const regions = [side, main.querySelector('.composer textarea'), main.querySelector('.scroller'), main.querySelector('.side-panel'), main]
      .filter((region) => region?.checkVisibility());
    const at = regions.findIndex((region) => region.contains(document.activeElement));
    const next = regions[(at + (event.shiftKey ? regions.length - 1 : 1)) % regions.length];
    (next.matches('nav, aside') ? next.querySelector('a, button') ?? next : next).focus();
  } else if (event.altKey && ['ArrowUp', 'ArrowDown'].includes(event.key) && rooms.list?.length && !ownsArrows(event.target)) {
    event.preventDefault();
    const ids = rooms.list.map(({ id }) => `/rooms/${id}`);
    const at = ids.indexOf(shown);
    const step = event.key === 'ArrowDown' ? 1 : -1;
    location.hash = `#${ids.at((Math.max(at, step > 0 ? -1 : 0) + step) % ids.length)}`;
  } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && session.caller) {
    event.preventDefault();
    findRoom();
  }
}

/** Returns true if Alt and an arrow belong to a control, or to a dialog. */
function ownsArrows(target) {
  return target.matches('select') || document.querySelector('dialog[open]') !== null;
}

/** Shows a field that finds a room by its name. */
async function findRoom() {
  const { dialog } = await import('./lib/dialog.js');
  const chosen = await dialog(t('rooms.find'), (close) => {
    const list = h('ul', { class: 'choices' });
    const draw = () => {
      const typed = input.value.toLocaleLowerCase();
      const found = (rooms.list ?? []).filter(({ name }) => name.toLocaleLowerCase().includes(typed));
      list.replaceChildren(...found.sort((a, b) => compare(a.name, b.name)).slice(0, 20)
        .map(({ id, name }) => h('li', {}, button(name, () => close(id), { dir: 'auto', class: 'choice' }))));
    };
    const input = h('input', {
      type: 'search', dir: 'auto', 'aria-label': t('rooms.find'),
      on: { input: draw, keydown: (event) => event.key === 'Enter' && list.querySelector('button')?.click() },
    });
    draw();
    return [input, list];
  });
  if (chosen) location.hash = `#/rooms/${chosen}`;
}
