// The agents of a room, on windows that are too narrow for the panel beside the log.

import { get } from '../lib/api.js';
import { button, h, redraw, show } from '../lib/dom.js';
import { every, heading } from '../lib/screen.js';
import { t } from '../lib/words.js';
import { invite, memberList } from '../room/members.js';

/** Shows the members, and reads them every few seconds. */
export async function open({ main, params: [room], signal }) {
  const place = h('div', {});
  let members = [];
  show(main,
    heading(t('members.members'),
      h('a', { class: 'button', href: `#/rooms/${room}` }, t('members.to-room')),
      button(t('members.invite'), async () => { await invite(room, members); await draw(); }, { class: 'primary' })),
    h('div', { class: 'page' }, place));
  async function draw() {
    const [agents, { chatting_agents }] = await Promise.all([
      get(`/rooms/${room}/agents`, { signal }), get(`/rooms/${room}/chatting-agents`, { signal }),
    ]);
    members = agents;
    redraw(place, memberList(room, agents, new Set(chatting_agents.map(({ id }) => id))));
  }
  await draw();
  every(3000, signal, () => draw().catch(() => {}));
}
