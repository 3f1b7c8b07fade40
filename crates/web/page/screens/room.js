// One room: its head, its log, its composer, and its members.

import { Failure, connection, del, get, patch, post } from '../lib/api.js';
import { button, h, iconButton, redraw, setText, show } from '../lib/dom.js';
import { confirmTyped, form, menu } from '../lib/dialog.js';
import { attempt, errorBox, heading } from '../lib/screen.js';
import { isAdmin } from '../lib/session.js';
import * as rooms from '../lib/rooms.js';
import { follow } from '../lib/stream.js';
import { t } from '../lib/words.js';
import { Composer } from '../room/composer.js';
import { Log } from '../room/log.js';
import { invite, memberList } from '../room/members.js';
import { Sender } from '../room/sender.js';
import { copy, download } from '../room/transcript.js';

/** The least time between two marks that the reader has read the room, in milliseconds. */
const MARK_PAUSE = 1000;

/** Shows the room. */
export async function open({ main, params: [id], query, signal, setTitle }) {
  let room;
  try {
    room = await get(`/rooms/${id}?images=none`, { signal });
  } catch (error) {
    if (signal.aborted) return;
    show(main, heading(t('room.room')), refusedBox(error));
    return;
  }
  if (signal.aborted) return;
  const view = new RoomView(room, signal, setTitle);
  show(main, view.element);
  await view.start();
  if (query.has('hello')) view.composer.propose(t('welcome.line'));
  view.composer.focus();
}

function refusedBox(error) {
  const isGone = error instanceof Failure && [403, 404].includes(error.status);
  return [errorBox(error), isGone && h('p', {}, t(`room.refused-${error.status}`), ' ', h('a', { href: '#/rooms' }, t('room.back')))];
}

class RoomView {
  #room;
  #members;
  #signal;
  #setTitle;
  #log;
  #sender;
  #name = h('h1', { tabindex: '-1', dir: 'auto' });
  #state = h('p', { class: 'hint' });
  #pause = button('', () => this.#togglePause());
  #error = h('div', { class: 'bar warn', role: 'status', hidden: true });
  #side = h('aside', { class: 'side-panel', 'aria-label': t('members.members') });
  #markedAt = -MARK_PAUSE;
  #markTimer = null;

  constructor(room, signal, setTitle) {
    this.#room = room;
    this.#members = room.agents;
    this.#signal = signal;
    this.#setTitle = setTitle;
    this.#log = new Log(room.id, () => this.#sender.settle(), signal);
    this.#sender = new Sender(room.id, this.#log, (body, reason) => this.composer.restore(body, reason), signal);
    this.composer = new Composer(room.id, (body) => this.#sender.send(body), () => this.#members);
    this.element = h('div', { class: 'room' },
      h('section', { class: 'talk' },
        h('header', { class: 'head' },
          h('a', { class: 'icon-button only-narrow', href: '#/rooms', 'aria-label': t('room.back') }, '‹'),
          h('div', { class: 'grow' }, this.#name, this.#state),
          h('div', { class: 'tools' },
            this.#pause,
            h('a', { class: 'button not-wide', href: `#/rooms/${room.id}/members` }, t('members.members')),
            menu(t('room.actions'), () => this.#actions()))),
        this.#error, this.#log.element, this.composer.element),
      this.#side);
    this.#draw();
    const online = (isOnline) => () => { this.composer.isOffline = !isOnline; };
    connection.addEventListener('offline', online(false), { signal });
    connection.addEventListener('online', online(true), { signal });
    document.addEventListener('visibilitychange', () => this.#markRead(), { signal });
    this.#log.scroller.addEventListener('scroll', () => this.#markRead(), { passive: true, signal });
  }

  async start() {
    await this.#log.open(this.#room.last_read_at);
    this.#sender.resume();
    this.#markRead();
    follow(() => `/rooms/${this.#room.id}/events?drafts=deltas&images=none&since_id=${this.#log.newest}`, {
      signal: this.#signal,
      receive: (name, data) => this.#receive(name, data),
      refused: (error) => error.status !== 401 && show(this.element, refusedBox(error)),
    });
  }

  #receive(name, data) {
    switch (name) {
      case 'message':
        this.#log.receive(data);
        this.#sender.settle();
        this.#markRead();
        break;
      case 'removed': this.#log.removed(data.message_id); break;
      case 'cleared': this.#log.clear(); break;
      case 'agents': this.#members = data; this.#drawMembers(); break;
      case 'room': this.#room = data; this.#draw(); break;
      case 'chatting': this.#log.drafts.replace(data.chatting_agents); this.#drawMembers(); break;
      case 'draft': this.#log.drafts.add(data); break;
      default:
    }
  }

  #draw() {
    const room = this.#room;
    setText(this.#name, room.name);
    this.#setTitle(room.name);
    const limit = room.max_interactions;
    const state = room.is_paused ? t('room.paused') : room.is_finished ? t('room.finished') : t('room.talks');
    setText(this.#state, limit === null ? state : `${state} · ${t('room.limit', { count: limit })}`);
    setText(this.#pause, room.is_paused ? t('room.resume') : t('room.pause'));
    this.#error.hidden = !room.last_error;
    show(this.#error, h('span', { class: 'grow', dir: 'auto' }, room.last_error ?? ''),
      button(t('room.retry'), () => attempt(() => post(`/rooms/${room.id}/retry`))));
    this.#drawMembers();
  }

  #drawMembers() {
    const names = this.#members.map(({ name }) => name);
    this.#log.describeEmpty(names.length
      ? h('p', {}, t('room.say-something'), ' ', names.flatMap((name, index) => [index > 0 && ', ', h('bdi', {}, name)]))
      : [h('p', {}, t('members.none')), button(t('members.invite'), () => this.#invite(), { class: 'primary' })]);
    const wide = memberList(this.#room.id, this.#members, this.#log.drafts.agents);
    redraw(this.#side, h('header', { class: 'head' }, h('h2', {}, t('members.members')), iconButton('plus', t('members.invite'), () => this.#invite())), wide);
  }

  #invite() {
    return invite(this.#room.id, this.#members);
  }

  #togglePause() {
    return attempt(() => post(`/rooms/${this.#room.id}/${this.#room.is_paused ? 'resume' : 'pause'}`));
  }

  #actions() {
    return [
      [t('room.rename'), () => this.#rename()],
      [t('room.set-limit'), () => this.#setLimit()],
      [t('members.invite'), () => this.#invite()],
      [t('room.mark-read'), () => this.#markRead(true)],
      navigator.clipboard && [t('room.copy'), () => copy(this.#room.id)],
      [t('room.download-txt'), () => download(this.#room, 'txt')],
      [t('room.download-json'), () => download(this.#room, 'json')],
      isAdmin() && [t('room.clear'), () => this.#clear(), { class: 'danger' }],
      isAdmin() && [t('room.delete'), () => this.#delete(), { class: 'danger' }],
    ];
  }

  async #rename() {
    const value = await form(t('room.rename'), [{ name: 'name', label: t('room.name'), value: this.#room.name, required: true, maxlength: 200 }], t('save'));
    if (value) await attempt(() => patch(`/rooms/${this.#room.id}`, { name: value.name }));
    rooms.refresh();
  }

  async #setLimit() {
    const limit = { name: 'limit', label: t('room.limit-label'), hint: t('room.limit-hint'), type: 'number', min: 0, step: 1, value: this.#room.max_interactions ?? '' };
    const value = await form(t('room.set-limit'), [limit], t('save'));
    if (value) await attempt(() => patch(`/rooms/${this.#room.id}`, { max_interactions: value.limit === '' ? null : Number(value.limit) }));
  }

  async #clear() {
    const { id, name } = this.#room;
    if (await confirmTyped(t('room.clear'), t('room.clear-ask'), name, t('room.clear'))) await attempt(() => del(`/rooms/${id}/messages`));
  }

  async #delete() {
    const { id, name } = this.#room;
    if (!await confirmTyped(t('room.delete'), t('room.delete-ask'), name, t('room.delete'))) return;
    if (await attempt(() => del(`/rooms/${id}`))) {
      location.hash = '#/rooms';
      rooms.refresh();
    }
  }

  /** Marks the room as read while the reader sees its end, at most once a second. */
  #markRead(always = false) {
    if (!always && (document.visibilityState !== 'visible' || !this.#log.isAtEnd)) return;
    if (!always && this.#markedUpTo === this.#log.newest) return;
    clearTimeout(this.#markTimer);
    const wait = Math.max(0, this.#markedAt + MARK_PAUSE - performance.now());
    this.#markTimer = setTimeout(async () => {
      if (this.#signal.aborted) return;
      this.#markedAt = performance.now();
      const upTo = this.#log.newest;
      await post(`/rooms/${this.#room.id}/mark-read`).then(() => { this.#markedUpTo = upTo; }, () => {});
    }, wait);
  }

  #markedUpTo = 0;
}
