/** Small helpers for building and finding markup. Nothing here parses strings as HTML. */

/** The element that the fragment calls `data-part="name"`. */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

/** The element that the fragment calls `data-action="name"`. */
export const action = (root, name) => root.querySelector(`[data-action="${name}"]`);

/** A new element: properties are set as properties, children are nodes or text. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A radio button that looks like a card or a segment: the native control covers it, only its paint is not there. */
export function option({ name, value, className, checked = false, title = "" }, ...children) {
  const input = make("input", { type: "radio", name, value, checked, className: "cover" });
  return make("label", { className, title }, input, ...children);
}

/** Change an element's text only when it differs, so that nothing flickers and no live region repeats itself. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Whether somebody can see the element, so that it can have the focus. */
export const isShown = (element) => element.getClientRects().length > 0;
