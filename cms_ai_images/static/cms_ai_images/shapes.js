/** The shape, the number and the quality of the pictures, as far as the model goes. */
import { make, option, part } from "./dom.js";
import { ratioName } from "./ratio.js";

const COUNTS = [1, 2, 4, 9];
const USUAL_COUNT = 2;

export class Shapes {
  #texts;

  constructor(form, texts) {
    this.sizesField = part(form, "sizes-field");
    this.sizes = part(form, "sizes");
    this.countsField = part(form, "counts-field");
    this.counts = part(form, "counts");
    this.qualitiesField = part(form, "qualities-field");
    this.qualities = part(form, "qualities");
    this.#texts = texts;
  }

  /**
   * @param {object} plan - What model and style say: see plan.js.
   * @param {{size: string, num_images: string}} chosen
   */
  fill({ model, size, qualities, quality, isLocked }, chosen) {
    const locked = isLocked("width") || isLocked("height");
    this.#fillSizes(model?.sizes ?? [], size, locked, chosen.size);
    this.#fillCounts(model?.max_images ?? 1, Number(chosen.num_images));
    this.#fillQualities(qualities, quality);
  }

  #fillSizes(sizes, usual, locked, chosen) {
    const names = sizes.map(([width, height]) => ratioName(width, height));
    const isDouble = (name) => names.filter((other) => other === name).length > 1;
    const segments = locked
      ? [this.#size(usual, ratioName(...usual), true)]
      : [this.#auto(usual), ...sizes.map((size, index) => this.#size(size, names[index], isDouble(names[index])))];
    this.sizes.replaceChildren(...segments);
    const inputs = [...this.sizes.querySelectorAll("input")];
    (inputs.find(({ value }) => value === chosen) ?? inputs[0]).checked = true;
    if (locked) this.sizes.append(make("span", { className: "lock" }, this.#texts.get("locked")));
    this.sizesField.disabled = locked; // a disabled control is not sent: the style decides
    this.sizesField.hidden = sizes.length < 2 && !locked;
  }

  #auto([width, height]) {
    const title = this.#texts.get("size_auto_pixels", { width, height });
    const shape = make("span", { className: "shape open" });
    shape.style.setProperty("aspect-ratio", `${width} / ${height}`);
    if (height > width) shape.classList.add("tall");
    const room = make("span", { className: "shape-room" }, shape);
    return option({ name: "size", value: "auto", className: "segment", title }, room, this.#texts.get("size_auto"));
  }

  #size([width, height], name, withPixels) {
    const shape = make("span", { className: height > width ? "shape tall" : "shape" });
    shape.style.setProperty("aspect-ratio", `${width} / ${height}`);
    const segment = option(
      {
        name: "size",
        value: `${width}x${height}`,
        className: "segment",
        title: this.#texts.get("size_pixels", { width, height }),
      },
      make("span", { className: "shape-room" }, shape),
      name,
    );
    const pixels = `${width} × ${height}`;
    if (withPixels && name !== pixels) segment.append(" ", make("span", { className: "pixels" }, pixels));
    return segment;
  }

  #fillQualities(qualities, chosen) {
    this.qualities.replaceChildren(
      ...qualities.map((quality) => {
        const { name, label } = quality;
        return option({ name: "quality", value: name, className: "segment", checked: quality === chosen }, label);
      }),
    );
    this.qualitiesField.hidden = qualities.length < 2;
  }

  #fillCounts(most, chosen) {
    const counts = COUNTS.filter((count) => count <= most);
    const wanted = counts.includes(chosen) ? chosen : Math.min(USUAL_COUNT, most);
    this.counts.replaceChildren(
      ...counts.map((count) =>
        option({ name: "num_images", value: count, className: "segment", checked: count === wanted }, `${count}`),
      ),
    );
    this.countsField.hidden = counts.length < 2;
  }
}
