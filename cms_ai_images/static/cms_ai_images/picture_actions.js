/** What can be done with the pictures and the chosen one of them. */
export class PictureActions {
  constructor(root, texts, on) {
    this.root = root;
    this.texts = texts;
    this.on = on;
  }

  /** Offer what can be done with `image` of `task`; nothing for null. */
  show() {}
}
