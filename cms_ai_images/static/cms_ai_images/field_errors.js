/** What is wrong, said at the field that it is about. */

export class FieldErrors {
  constructor(form) {
    this.form = form;
  }

  /**
   * Show errors at their fields and go to the first.
   * @param {{field: string|null, detail: string}[]} errors
   * @returns {object[]} Those that belong to no field that is shown.
   */
  show(errors) {
    const elsewhere = [];
    let first = null;
    for (const error of errors) {
      const name = error.field?.split(".")[0]; // a part of a value, as `focal_point.0`
      const field = name && this.form.querySelector(`[data-field="${name}"]:not([hidden])`);
      if (!field) {
        elsewhere.push(error);
        continue;
      }
      const message = field.querySelector(".error-text");
      message.textContent = error.detail;
      message.hidden = false;
      field.classList.add("invalid");
      // A radio button cannot be invalid by itself: its group is described by the message.
      for (const control of controls(field)) control.setAttribute("aria-invalid", "true");
      field.closest("details")?.setAttribute("open", "");
      first ??= field;
    }
    (first?.querySelector("input:checked") ?? (first && controls(first)[0]))?.focus();
    first?.scrollIntoView({ block: "nearest" }); // with its message
    return elsewhere;
  }

  /** Take back what was said at the field of `control`, else everywhere. */
  clear(control = null) {
    const fields = control ? [control.closest("[data-field]")] : this.form.querySelectorAll("[data-field]");
    for (const field of fields) {
      const message = field?.querySelector(".error-text");
      if (!message || message.hidden) continue;
      message.hidden = true;
      field.classList.remove("invalid");
      for (const item of controls(field)) item.removeAttribute("aria-invalid");
    }
  }
}

const controls = (field) => [...field.querySelectorAll("textarea, select, input")].filter((item) => item.type !== "radio");
