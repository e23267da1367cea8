/** All tasks of the author, to be found again. */
export class History {
  show() {}

  hide() {}
}
