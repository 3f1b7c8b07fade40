// The answers that agents are composing now. Their text grows as it arrives, without formatting.

import { picture } from '../lib/api.js';
import { announce, h, setAttribute, setText } from '../lib/dom.js';
import { face } from '../lib/screen.js';
import { settings } from '../lib/session.js';
import { t } from '../lib/words.js';

/** The least time between two announcements of who composes, in milliseconds. */
const QUIET = 5000;

/** The drafts at the end of a log. */
export class Drafts {
  element = h('div', { class: 'drafts' });
  #drafts = new Map();
  #frame = null;
  #announcedAt = -QUIET;

  /** The ids of the agents that compose. */
  get agents() {
    return new Set(this.#drafts.keys());
  }

  /** Shows the whole drafts of all agents that compose. */
  replace(composing) {
    const ids = new Set(composing.map(({ id }) => id));
    for (const [id, draft] of this.#drafts) {
      if (ids.has(id)) continue;
      draft.element.remove();
      this.#drafts.delete(id);
    }
    for (const agent of composing) {
      let draft = this.#drafts.get(agent.id);
      if (!draft) {
        draft = create(agent);
        this.#drafts.set(agent.id, draft);
        this.element.append(draft.element);
      }
      draft.text = agent.response_text;
      draft.thinking = agent.thinking_text;
      draft.isWaiting = Boolean(agent.waiting);
    }
    this.#announce(composing.length);
    this.#draw();
  }

  /** Adds the text that an agent has composed since. */
  add({ agent_id, thinking_text, response_text }) {
    const draft = this.#drafts.get(agent_id);
    if (!draft) return;
    draft.text += response_text;
    draft.thinking += thinking_text;
    draft.isWaiting = false;
    this.#draw();
  }

  /** Draws at most once for each frame, so that quick models do not slow the page. */
  #draw() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      for (const draft of this.#drafts.values()) draw(draft);
    });
  }

  #announce(count) {
    const now = performance.now();
    if (count === 0 || settings.announce === 'off' || now - this.#announcedAt < QUIET) return;
    this.#announcedAt = now;
    announce(t('room.composing', { count }));
  }
}

function create({ name, profile_pic }) {
  const text = document.createTextNode('');
  const thought = document.createTextNode('');
  const state = h('span', { class: 'hint pulse' });
  const folded = h('details', { class: 'thinking', open: settings.thinkingOpen, hidden: true },
    h('summary', {}, t('message.thinking')), h('p', { dir: 'auto', class: 'plain' }, thought));
  const element = h('article', { class: 'message agent draft', 'aria-label': t('room.composes', { name }) },
    face(name, picture(name, profile_pic)),
    h('header', {}, h('bdi', { class: 'name' }, name), state),
    folded,
    h('div', { class: 'text' }, h('p', { dir: 'auto', class: 'plain' }, text)));
  return { element, state, folded, nodes: { text, thought }, text: '', thinking: '', isWaiting: false };
}

function draw(draft) {
  grow(draft.nodes.text, draft.text);
  grow(draft.nodes.thought, draft.thinking);
  setAttribute(draft.folded, 'hidden', draft.thinking === '');
  setText(draft.state, draft.isWaiting ? t('room.waits') : t('room.writes'));
}

/** Appends to a text node what is new, so that a long text is not laid out anew. */
function grow(node, text) {
  if (text.startsWith(node.data)) {
    if (text.length > node.data.length) node.appendData(text.slice(node.data.length));
  } else {
    node.data = text;
  }
}
