// Returns the elements that stand outside of the window, and the controls that are too small to be
// hit.
const shown = (selector) => [...document.querySelectorAll(selector)]
  .filter((element) => element.checkVisibility());
const isCut = ({ parentElement }) => getComputedStyle(parentElement).overflowX !== 'visible';
const outside = shown('body *').filter((element) => {
  if (element.closest('.unseen, pre, svg') || isCut(element)) return false;
  const { left, right } = element.getBoundingClientRect();
  return right > innerWidth + 1 || left < -1;
});
const small = shown('button, a[href], input, select, summary').filter((element) => {
  if (element.id === 'skip' || element.closest('.text, p, label')) return false;
  const { width, height } = element.getBoundingClientRect();
  return width > 0 && (width < 24 || height < 24);
});
const describe = (kind) => (element) => {
  const { width, height } = element.getBoundingClientRect();
  return `${kind}, ${width} by ${height}: ${element.outerHTML.slice(0, 120)}`;
};
return [...outside.map(describe('outside')), ...small.map(describe('small'))];
