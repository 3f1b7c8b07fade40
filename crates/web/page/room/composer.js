// The field in which a person writes a message.

import { button, choice, h, iconButton, notify, setAttribute } from '../lib/dom.js';
import { caller, draft, keepDraft, settings } from '../lib/session.js';
import { t } from '../lib/words.js';
import { imageIn, prepare } from './image.js';
import { Mentions, mentioned } from './mentions.js';

/** The composer of one room. */
export class Composer {
  #room;
  #user = caller.user;
  #send;
  #agents;
  #input;
  #speaker;
  #name;
  #preview = h('div', { class: 'preview', hidden: true });
  #image = null;
  #button;

  /** `send(body)` sends a message, and `agents()` returns the agents of the room. */
  constructor(room, send, agents) {
    this.#room = room;
    this.#send = send;
    this.#agents = agents;
    this.#input = h('textarea', {
      rows: 1, dir: 'auto', 'aria-label': t('send.message'), placeholder: t('send.message'), value: draft(room),
      on: {
        input: () => this.#changed(),
        keydown: (event) => this.#keydown(event),
        paste: (event) => this.#files(event, event.clipboardData),
      },
    });
    this.#name = h('input', {
      type: 'text', dir: 'auto', maxlength: 200, 'aria-label': t('speak.name'), placeholder: t('speak.name'), hidden: true,
      on: { input: () => this.#changed() },
    });
    const speakers = [['user', t('speak.me')], ['character', t('speak.character')], ['situation_builder', t('speak.narrator')]];
    this.#speaker = choice(speakers, 'user', () => this.#changed(), { 'aria-label': t('speak.as'), class: 'speaker' });
    this.#button = h('button', { type: 'submit', class: 'primary send', 'aria-label': t('send.send') }, t('send.send'));
    const file = h('input', {
      type: 'file', accept: 'image/png,image/jpeg,image/gif,image/webp', hidden: true, 'aria-label': t('send.image'),
      on: { change: () => { this.#attach(file.files); file.value = ''; } },
    });
    const mentions = new Mentions(this.#input, agents);
    this.mentions = mentions;
    this.element = h('form', {
      class: 'composer',
      on: {
        submit: (event) => { event.preventDefault(); this.#submit(); },
        dragover: (event) => event.preventDefault(),
        drop: (event) => this.#files(event, event.dataTransfer),
      },
    },
    this.#preview,
    mentions.element,
    h('div', { class: 'line' }, this.#input, this.#button),
    h('div', { class: 'line tools' }, this.#speaker, this.#name, iconButton('image', t('send.image'), () => file.click()), file));
    this.#changed();
  }

  /** Puts the cursor into the text. */
  focus() {
    this.#input.focus();
  }

  /** Proposes a text in an empty composer. */
  propose(text) {
    if (this.#input.value) return;
    this.#input.value = text;
    this.#changed();
    this.#input.select();
  }

  /** Puts a message back that the server refused, with the reason. */
  restore({ content, image_data, image_media_type }, reason) {
    this.#input.value = [content, this.#input.value].filter(Boolean).join('\n');
    if (image_data) this.#showImage({ data: image_data, type: image_media_type });
    this.#changed();
    this.focus();
    notify(reason);
  }

  /** Prevents sending while the server is not reached. */
  set isOffline(isOffline) {
    setAttribute(this.#button, 'aria-disabled', isOffline && 'true');
  }

  #changed() {
    if (caller?.user === this.#user) keepDraft(this.#room, this.#input.value);
    this.#name.hidden = this.#speaker.value !== 'character';
    // The height follows the text, up to a limit that the style sheet sets.
    this.#input.style.height = 'auto';
    this.#input.style.height = `${this.#input.scrollHeight + 2}px`;
  }

  #keydown(event) {
    // While an input method composes a character, Enter belongs to it.
    if (event.isComposing || event.keyCode === 229) return;
    if (this.mentions.key(event)) return;
    if (event.key !== 'Enter') return;
    const sends = settings.enterSends ? !event.shiftKey : event.ctrlKey || event.metaKey;
    if (!sends) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const content = this.#input.value;
    if (this.#button.getAttribute('aria-disabled')) return;
    if (!content.trim() && !this.#image) return;
    const type = this.#speaker.value;
    const name = this.#name.value.trim();
    if (type === 'character' && !name) {
      this.#name.focus();
      notify(t('speak.name-missing'));
      return;
    }
    this.#send({
      content, role: 'user', participant_type: type,
      ...(type === 'character' && { participant_name: name }),
      ...(this.#image && { image_data: this.#image.data, image_media_type: this.#image.type }),
      mentioned_agent_ids: mentioned(content, this.#agents()),
    });
    this.#input.value = '';
    this.#showImage(null);
    this.#changed();
    this.focus();
  }

  #files(event, data) {
    if (!data?.files.length) return;
    event.preventDefault();
    this.#attach(data.files);
  }

  async #attach(files) {
    const file = imageIn(files);
    if (!file) return;
    try {
      this.#showImage(await prepare(file));
    } catch (error) {
      notify(error.message);
    }
  }

  #showImage(image) {
    this.#image = image;
    this.#preview.hidden = !image;
    if (!image) return this.#preview.replaceChildren();
    const bytes = Uint8Array.from(atob(image.data), (letter) => letter.charCodeAt(0));
    const address = URL.createObjectURL(new Blob([bytes], { type: image.type }));
    const picture = h('img', { src: address, alt: t('message.image'), on: { load: () => URL.revokeObjectURL(address) } });
    return this.#preview.replaceChildren(picture, button(t('send.remove-image'), () => this.#showImage(null)));
  }
}
