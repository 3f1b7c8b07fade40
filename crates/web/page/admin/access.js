// The tokens of people: an operator can end all of a role.

import { post } from '../lib/api.js';
import { button, h, notify } from '../lib/dom.js';
import { confirmTyped } from '../lib/dialog.js';
import { attempt } from '../lib/screen.js';
import { t } from '../lib/words.js';
import { line } from './events.js';
import { live } from './live.js';

/** Shows what an operator can do, and the newest logins and refusals. */
export function draw({ place, state, signal }) {
  const list = h('ol', { class: 'lines', 'aria-label': t('access.audit') });
  const none = h('p', { class: 'empty' }, t('events.none'));
  place.append(
    h('p', {}, t('access.text')),
    h('div', { class: 'line' }, ['guest', 'admin'].map((role) => button(t(`access.end-${role}`), () => revoke(role), { class: 'danger' }))),
    h('h2', {}, t('access.audit')), none, list);
  live({
    signal, state,
    line: (data) => {
      if (data.target !== 'audit') return;
      none.hidden = true;
      list.prepend(line(data));
      if (list.childElementCount > 200) list.lastChild.remove();
    },
  });
}

async function revoke(role) {
  const title = t(`access.end-${role}`);
  if (!await confirmTyped(title, t('access.end-ask'), role, title)) return;
  if (await attempt(() => post('/auth/revoke', { role }))) notify(t('access.ended'));
}
