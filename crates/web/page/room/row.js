// One message as a row of the log.

import { picture, send } from '../lib/api.js';
import { h, icon } from '../lib/dom.js';
import { menu } from '../lib/dialog.js';
import { render } from '../lib/markdown.js';
import { face } from '../lib/screen.js';
import { isAdmin, settings } from '../lib/session.js';
import { day, t, time } from '../lib/words.js';

/** Creates the row of a message. `actions` may have `remove(message)`. */
export function row(message, actions) {
  const article = h('article', {
    class: `message ${kind(message)}`, tabindex: '-1', 'aria-label': t('message.by', { name: author(message), time: time(message.timestamp) }),
  },
  face(author(message), pictureOf(message)),
  h('header', {},
    h('bdi', { class: 'name' }, author(message)),
    h('time', { datetime: message.timestamp }, time(message.timestamp)),
    message.interrupted && h('span', { class: 'badge warn' }, t('message.interrupted')),
    menu(t('message.actions'), () => [
      [t('message.copy'), () => navigator.clipboard?.writeText(message.content)],
      isAdmin() && actions.remove && [t('message.delete'), () => actions.remove(message), { class: 'danger' }],
    ])),
  thinking(message.thinking),
  h('div', { class: 'text' }, message.role === 'user' ? plain(message.content) : render(message.content)),
  message.image_url && image(message.image_url));
  const element = h('div', { class: 'row', 'data-id': message.id, 'data-day': new Date(message.timestamp).toDateString() }, article);
  element.message = message;
  return element;
}

/** Returns the name under which a message is shown. */
export function author({ agent_name, participant_name, participant_type, role }) {
  if (agent_name) return agent_name;
  if (participant_type === 'situation_builder') return participant_name || t('speak.narrator');
  if (participant_type === 'system') return t('message.system');
  return participant_name || (role === 'user' ? t('message.you') : t('message.agent'));
}

function kind({ participant_type, role }) {
  if (participant_type === 'system') return 'system';
  if (participant_type === 'situation_builder') return 'narrator';
  return role === 'user' ? 'own' : 'agent';
}

function pictureOf({ agent_name, agent_profile_pic }) {
  return agent_name && picture(agent_name, agent_profile_pic);
}

/** Shows a person's text as it was written. Their marks mean nothing. */
function plain(text) {
  return text && h('p', { dir: 'auto', class: 'plain' }, text);
}

/** Creates the folded thinking of an agent. */
export function thinking(text) {
  return text && h('details', { class: 'thinking', open: settings.thinkingOpen },
    h('summary', {}, t('message.thinking')), h('p', { dir: 'auto', class: 'plain' }, text));
}

/** Shows an image, which needs the caller's token and so cannot be an address. */
function image(path) {
  const picture = h('img', { class: 'picture', alt: t('message.image'), loading: 'lazy' });
  const place = h('p', { class: 'picture-place' }, picture);
  const watch = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    watch.disconnect();
    try {
      const response = await send('GET', path);
      const address = URL.createObjectURL(await response.blob());
      picture.src = address;
      picture.addEventListener('load', () => URL.revokeObjectURL(address), { once: true });
    } catch {
      place.replaceChildren(h('span', { class: 'hint' }, t('message.image-missing')));
    }
  }, { rootMargin: '600px' });
  watch.observe(place);
  return place;
}

/** Creates the row of a message that is being sent. */
export function pendingRow(body, resend) {
  const name = body.participant_type === 'situation_builder' ? t('speak.narrator') : body.participant_name || t('message.you');
  return h('article', { class: 'message own pending' },
    face(name, null),
    h('header', {}, h('bdi', { class: 'name' }, name), h('span', { class: 'hint', 'data-state': '' }, t('send.sending')),
      h('button', { type: 'button', class: 'link', hidden: true, on: { click: resend } }, t('again'))),
    h('div', { class: 'text' }, plain(body.content), body.image_data && h('span', { class: 'hint' }, icon('image'), t('message.image'))));
}

/** Adds the day above each row that is the first of its day. */
export function markDays(rows, lastRead) {
  let previous = null;
  let isRead = true;
  for (const element of rows) {
    const isNewDay = element.dataset.day !== previous;
    previous = element.dataset.day;
    const heading = element.querySelector(':scope > .day');
    if (isNewDay && !heading) element.prepend(h('p', { class: 'day' }, day(element.message.timestamp)));
    else if (!isNewDay && heading) heading.remove();
    const isNew = lastRead !== null && element.message.timestamp > lastRead && element.message.role !== 'user';
    element.classList.toggle('first-new', isNew && isRead);
    if (isNew) isRead = false;
  }
}
