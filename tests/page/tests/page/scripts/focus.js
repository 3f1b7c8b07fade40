// Takes the control with the focus off the list of those that are left. Returns the number of those,
// and the control if its focus cannot be seen.
const control = document.activeElement;
window.left.delete(control);
// A control that was drawn anew meanwhile is another element.
const left = [...window.left].filter((other) => other.isConnected);
const isSeen = control === document.body
  || (getComputedStyle(control).outlineStyle !== 'none' && control.checkVisibility());
const describe = (element) => element.outerHTML.slice(0, 120);
return { left: left.map(describe), unseen: isSeen ? null : describe(control) };
