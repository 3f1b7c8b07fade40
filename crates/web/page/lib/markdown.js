// Turns the marks in a message into elements. Agents write some Markdown; it is shown as text with
// emphasis, never as HTML, and it loads nothing.

import { h } from './dom.js';

/** Longer lines are shown as they are: their marks would take too long to find. */
const MOST_CHARS = 4000;
/** Quotes within quotes are shown as they are from this depth on. */
const MOST_DEPTH = 8;

/** Returns the elements of a text. */
export function render(text) {
  return elements(text.replace(/\r\n?/g, '\n').split('\n'), 0);
}

function elements(lines, depth) {
  if (depth === MOST_DEPTH) return [h('p', { class: 'plain', dir: 'auto' }, lines.join('\n'))];
  return blocks(lines).map((block) => blockElement(block, depth));
}

/**
 * Divides lines into blocks: paragraphs, headings, lists, quotes, code and rules.
 *
 * A block is `{kind, lines}`; a list has `items`, which are lists of lines.
 */
function blocks(lines) {
  const found = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at];
    const fence = line.match(/^\s*(```+|~~~+)/);
    if (line.trim() === '') {
      at += 1;
    } else if (fence) {
      const end = lines.findIndex((other, index) => index > at && other.trim().startsWith(fence[1]));
      const last = end < 0 ? lines.length : end;
      found.push({ kind: 'code', lines: lines.slice(at + 1, last) });
      at = last + 1;
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      found.push({ kind: 'rule', lines: [] });
      at += 1;
    } else if (/^#{1,6}\s/.test(line)) {
      found.push({ kind: 'heading', lines: [line.replace(/^#+\s+/, '')] });
      at += 1;
    } else {
      const kind = kindOf(line);
      const end = lines.findIndex((other, index) => index > at && endsBlock(kind, other));
      const last = end < 0 ? lines.length : end;
      found.push(block(kind, lines.slice(at, last)));
      at = last;
    }
  }
  return found;
}

const BULLET = /^\s{0,3}[-*+]\s+/;
const NUMBER = /^\s{0,3}\d{1,9}[.)]\s+/;
const QUOTE = /^\s{0,3}>\s?/;

function kindOf(line) {
  if (QUOTE.test(line)) return 'quote';
  if (BULLET.test(line)) return 'bullets';
  if (NUMBER.test(line)) return 'numbers';
  return 'paragraph';
}

function endsBlock(kind, line) {
  if (line.trim() === '' || /^\s*(```|~~~)/.test(line)) return true;
  const next = kindOf(line);
  // A line without a mark goes on with the item or the paragraph before it.
  return next !== kind && (next !== 'paragraph' || kind === 'quote');
}

function block(kind, lines) {
  if (kind === 'quote') return { kind, lines: lines.map((line) => line.replace(QUOTE, '')) };
  if (kind === 'paragraph') return { kind, lines };
  const mark = kind === 'bullets' ? BULLET : NUMBER;
  const items = [];
  for (const line of lines) {
    if (mark.test(line)) items.push([line.replace(mark, '')]);
    else items.at(-1).push(line.trim());
  }
  return { kind, items, first: parseInt(lines[0], 10) };
}

function blockElement({ kind, lines, items, first }, depth) {
  switch (kind) {
    case 'code': return h('pre', { dir: 'ltr', tabindex: '0' }, h('code', {}, lines.join('\n')));
    case 'rule': return h('hr');
    case 'heading': return h('p', { class: 'heading', dir: 'auto' }, inline(lines[0]));
    case 'quote': return h('blockquote', { dir: 'auto' }, elements(lines, depth + 1));
    case 'bullets': return h('ul', { dir: 'auto' }, items.map((item) => h('li', {}, broken(item))));
    case 'numbers': return h('ol', { dir: 'auto', start: first }, items.map((item) => h('li', {}, broken(item))));
    default: return h('p', { dir: 'auto' }, broken(lines));
  }
}

function broken(lines) {
  return lines.flatMap((line, index) => (index === 0 ? inline(line) : [h('br'), ...inline(line)]));
}

// Code, then bold, then emphasis, then links, then bare addresses. Bold and emphasis begin and end
// with a character that is not a space.
const INLINE = /(`+)([^`]|[^`].*?[^`])\1(?!`)|\*\*(?=\S)(.+?)(?<=\S)\*\*|__(?=\S)(.+?)(?<=\S)__|\*(?=[^\s*])([^*]*?)(?<=[^\s*])\*|(?<!\w)_(?=[^\s_])([^_]*?)(?<=[^\s_])_(?!\w)|!?\[([^\]]*)\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)|(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]])/;

/** Returns the nodes of a line. */
function inline(text) {
  if (text.length > MOST_CHARS) return [text];
  const nodes = [];
  let rest = text;
  while (rest) {
    const found = rest.match(INLINE);
    if (!found) break;
    if (found.index > 0) nodes.push(rest.slice(0, found.index));
    nodes.push(inlineElement(found));
    rest = rest.slice(found.index + found[0].length);
  }
  if (rest) nodes.push(rest);
  return nodes;
}

function inlineElement([all, ticks, code, bold, bold2, emphasis, emphasis2, label, target, bare]) {
  if (ticks) return h('code', { dir: 'ltr' }, code.trim() || code);
  if (bold ?? bold2) return h('strong', {}, inline(bold ?? bold2));
  if (emphasis ?? emphasis2) return h('em', {}, inline(emphasis ?? emphasis2));
  return link(bare ?? target, bare ? null : label) ?? all;
}

/** Returns a link for an address of the web, with its host after a label; null for others. */
function link(target, label) {
  let url;
  try {
    url = new URL(target);
  } catch {
    return null;
  }
  if (!['http:', 'https:'].includes(url.protocol)) return null;
  const anchor = h('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow' }, label || target);
  // A label may pretend to be another address, so the host stands behind it.
  return label ? h('span', {}, anchor, h('small', { class: 'host' }, ` (${url.host})`)) : anchor;
}
