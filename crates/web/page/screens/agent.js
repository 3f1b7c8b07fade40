// One agent: its persona, how it behaves, its prompt, what it remembers, and its files.

import { del, get, patch, picture, post } from '../lib/api.js';
import { button, checkbox, field, h, notify, show } from '../lib/dom.js';
import { confirm, confirmTyped } from '../lib/dialog.js';
import { attempt, errorBox, face, heading, load, sentence } from '../lib/screen.js';
import { caller, isAdmin } from '../lib/session.js';
import { tabs } from '../lib/tabs.js';
import { t } from '../lib/words.js';
import { imageIn, prepare } from '../room/image.js';
import { openDirect } from './welcome.js';

/** The fields that this screen edits. */
const FIELDS = ['name', 'group', 'in_a_nutshell', 'characteristics', 'recent_events', 'is_critic', 'interrupt_every_turn', 'priority', 'transparent'];
const NEW = { id: null, name: '', group: null, profile_pic: null, in_a_nutshell: '', characteristics: '', recent_events: '', is_critic: false, interrupt_every_turn: false, priority: 0, transparent: false, system_prompt: '', config_file: '' };

/** Shows the agent, or an empty form for a new one. */
export async function open({ main, params: [id], signal, setTitle }) {
  let agent = NEW;
  if (id !== 'new') {
    try {
      agent = await get(`/agents/${id}`, { signal });
    } catch (error) {
      if (!signal.aborted) show(main, heading(t('title.agent')), errorBox(error), h('p', {}, h('a', { href: '#/agents' }, t('agents.back'))));
      return;
    }
  }
  if (signal.aborted) return;
  setTitle(agent.name || t('agents.new'));
  const form = new AgentForm(agent, () => open({ main, params: [id], signal, setTitle }), signal);
  show(main, form.element);
}

/** Changes that were not saved when their screen was left, by the user and the agent. */
const unsaved = new Map();

class AgentForm {
  #agent;
  #reload;
  #signal;
  #key;
  #changes = {};
  #save = h('button', { type: 'submit', class: 'primary', disabled: true }, t('save'));

  constructor(agent, reload, signal) {
    this.#agent = { ...agent };
    this.#reload = reload;
    this.#signal = signal;
    this.#key = `${caller.user} ${agent.id}`;
    this.#changes = unsaved.get(this.#key) ?? {};
    unsaved.delete(this.#key);
    this.#save.disabled = Object.keys(this.#changes).length === 0;
    const isNew = agent.id === null;
    const panels = [
      [t('agent.persona'), this.#persona()],
      [t('agent.behaviour'), this.#behaviour()],
      ...(isNew ? [] : [
        [t('agent.prompt'), h('div', {}, h('pre', { class: 'prompt', dir: 'auto', tabindex: '0' }, agent.system_prompt))],
        [t('agent.memory'), this.#memory()],
        [t('agent.file'), this.#file()],
      ]),
    ];
    const tools = [
      !isNew && button(t('agent.talk'), () => openDirect(agent)),
      isAdmin() && this.#save,
      isAdmin() && !isNew && button(t('agent.delete'), () => this.#delete(), { class: 'danger' }),
    ];
    this.element = h('form', { class: 'agent-form', on: { submit: (event) => { event.preventDefault(); this.#store(); } } },
      heading(agent.name || t('agents.new'), tools),
      h('div', { class: 'page' },
        h('p', { class: 'line' }, face(agent.name || '?', picture(agent.name, agent.profile_pic), 'large'), isAdmin() && this.#picture()),
        !isAdmin() && h('p', { class: 'hint' }, t('agent.read-only')),
        tabs(t('agent.parts'), panels)));
    const leave = (event) => Object.keys(this.#changes).length && event.preventDefault();
    window.addEventListener('beforeunload', leave, { signal });
    // The address has changed already, so leaving cannot be prevented. A dialog offers to save.
    signal.addEventListener('abort', () => this.#left());
  }

  async #left() {
    const changes = this.#changes;
    if (Object.keys(changes).length === 0) return;
    this.#changes = {};
    if (!caller) {
      unsaved.set(this.#key, changes);
      return;
    }
    const saves = await confirm(t('agent.unsaved'), t('agent.unsaved-text', { name: this.#agent.name }), t('agent.save-now'));
    const saved = saves && await attempt(() => this.#write(changes));
    // They stand in the form again when the reader comes back to the agent.
    if (!saved) unsaved.set(this.#key, changes);
  }

  #text(name, isLong, attributes = {}) {
    const control = h(isLong ? 'textarea' : 'input', {
      dir: 'auto', name, value: this.#value(name) ?? '', readonly: !isAdmin(), ...(isLong ? { rows: 6 } : { type: 'text' }), ...attributes,
      on: { input: () => this.#change(name, name === 'group' ? control.value.trim() || null : control.value) },
    });
    return control;
  }

  #value(name) {
    return name in this.#changes ? this.#changes[name] : this.#agent[name];
  }

  #flag(name, label) {
    const box = checkbox(label, this.#value(name), (value) => this.#change(name, value));
    box.querySelector('input').disabled = !isAdmin();
    return box;
  }

  #persona() {
    return h('div', {},
      field(t('agent.name'), this.#text('name', false, { required: true, maxlength: 100 })),
      field(t('agent.group'), this.#text('group', false, { maxlength: 100 })),
      field(t('agent.nutshell'), this.#text('in_a_nutshell', true, { rows: 3 }), t('agent.nutshell-hint')),
      field(t('agent.characteristics'), this.#text('characteristics', true, { rows: 10 })),
      field(t('agent.events'), this.#text('recent_events', true), t('agent.events-hint')));
  }

  #behaviour() {
    const priority = h('input', {
      type: 'number', step: 1, value: this.#value('priority'), readonly: !isAdmin(), on: { input: () => this.#change('priority', Number(priority.value)) },
    });
    return h('div', {},
      this.#flag('is_critic', t('agent.critic-long')), this.#flag('interrupt_every_turn', t('agent.interrupts-long')),
      this.#flag('transparent', t('agent.transparent-long')), field(t('agent.priority'), priority, t('agent.priority-hint')));
  }

  #memory() {
    const place = h('div', {});
    const { id } = this.#agent;
    const text = h('textarea', { dir: 'auto', rows: 3, maxlength: 10000 });
    const add = async () => {
      if (!text.value.trim()) return;
      if (await attempt(() => post(`/agents/${id}/memory`, { text: text.value }))) {
        notify(t('agent.remembered'));
        text.value = '';
        this.#agent.recent_events = (await get(`/agents/${id}`)).recent_events;
        const events = this.element.elements.namedItem('recent_events');
        if (!('recent_events' in this.#changes)) events.value = this.#agent.recent_events;
      }
    };
    const forget = async () => {
      if (!await confirm(t('agent.forget'), t('agent.forget-ask', { name: this.#agent.name }), t('delete'))) return;
      await attempt(() => del(`/agents/${id}/memories`));
      read();
    };
    const read = () => load(place, this.#signal, () => get(`/agents/${id}/memories`, { signal: this.#signal }), ({ memories }) => (memories.length
      ? [h('ul', { class: 'memories' }, memories.map(({ date, text }) => h('li', { dir: 'auto' }, date && h('time', {}, date), ' ', text))), button(t('agent.forget'), forget, { class: 'danger' })]
      : [h('p', { class: 'hint' }, t('agent.no-memories'))]));
    read();
    return h('div', {},
      h('h2', {}, t('agent.memories')), place,
      isAdmin() && [field(t('agent.remember'), text, t('agent.remember-hint')), button(t('agent.remember-add'), add)]);
  }

  #file() {
    const { id, config_file, name } = this.#agent;
    const problem = h('div', {});
    const reload = async () => {
      try {
        await post(`/agents/${id}/reload`);
        notify(t('agent.reloaded'));
        this.#changes = {};
        this.#reload();
      } catch (error) {
        show(problem, h('p', { class: 'problem', dir: 'auto' }, sentence(error)), h('p', {}, t('agent.last-good')));
      }
    };
    if (isAdmin()) {
      get('/agents/config-errors', { signal: this.#signal }).then(({ errors }) => {
        if (errors[name]) show(problem, h('pre', { class: 'problem', tabindex: '0' }, errors[name]), h('p', {}, t('agent.last-good')));
      }, () => {});
    }
    return h('div', {}, h('p', {}, t('agent.path'), ' ', h('code', {}, config_file)), problem, isAdmin() && button(t('agent.reload'), reload));
  }

  #picture() {
    const file = h('input', {
      type: 'file', accept: 'image/png,image/jpeg,image/gif,image/webp', 'aria-label': t('agent.picture'), hidden: true,
      on: { change: async () => {
        const chosen = imageIn(file.files);
        const image = chosen && await attempt(() => prepare(chosen));
        if (!image) return;
        this.#change('profile_pic', `data:${image.type};base64,${image.data}`);
        notify(t('agent.picture-chosen'));
      } },
    });
    return [button(t('agent.picture'), () => file.click()), file];
  }

  #change(name, value) {
    if (value === this.#agent[name]) delete this.#changes[name];
    else this.#changes[name] = value;
    this.#save.disabled = Object.keys(this.#changes).length === 0;
  }

  /** Saves the changed fields. Asks first if somebody else has changed one of them meanwhile. */
  async #store() {
    const changes = this.#changes;
    if (Object.keys(changes).length === 0) return;
    // Changes that are on their way are not asked about when the reader leaves.
    this.#changes = {};
    this.#save.disabled = true;
    const saved = await attempt(() => this.#write(changes, true));
    if (!saved) {
      this.#changes = { ...changes, ...this.#changes };
      this.#save.disabled = false;
      return;
    }
    notify(t('saved'));
    // What was typed meanwhile stays in the form.
    if (Object.keys(this.#changes).length > 0) Object.assign(this.#agent, saved);
    else if (this.#agent.id === null) location.hash = `#/agents/${saved.id}`;
    else this.#reload();
  }

  async #write(changes, asks) {
    const { id } = this.#agent;
    if (id === null) return post('/agents', changes);
    const present = await get(`/agents/${id}`);
    const others = FIELDS.filter((name) => name in changes && present[name] !== this.#agent[name]);
    if (others.length && asks) {
      const overwrites = await confirm(t('agent.conflict'), t('agent.conflict-text', { fields: others.join(', ') }), t('agent.overwrite'));
      if (!overwrites) return null;
    }
    return patch(`/agents/${id}`, changes);
  }

  async #delete() {
    const { id, name } = this.#agent;
    if (!await confirmTyped(t('agent.delete'), t('agent.delete-ask'), name, t('agent.delete'))) return;
    if (await attempt(() => del(`/agents/${id}`))) {
      this.#changes = {};
      location.hash = '#/agents';
    }
  }
}
