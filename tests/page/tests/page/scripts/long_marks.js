// Formats texts that are hard to format. Returns the milliseconds, and how deep quotes are nested.
const { render } = await import('./lib/markdown.js');
const place = document.createElement('div');
const began = performance.now();
for (const part of ['`', '[', '**a ', '_a ', '> ', '* ']) place.append(...render(part.repeat(16_000)));
place.replaceChildren(...render('>'.repeat(3000)));
return { milliseconds: performance.now() - began, depth: place.querySelectorAll('blockquote').length };
