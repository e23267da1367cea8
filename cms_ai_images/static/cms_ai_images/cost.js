/** Where the prompt goes, what the pictures would cost, and what is left: told before anything is asked for. */
import { part, setText } from "./dom.js";

export class Cost {
  #texts;
  #credits = null;

  constructor(root, texts) {
    this.provider = part(root, "provider");
    this.price = part(root, "price");
    this.#texts = texts;
  }

  get isCounted() {
    return Boolean(this.#credits?.enabled);
  }

  /** @param {{enabled: boolean, balance: number|null, low: boolean}|undefined} credits - What was known stays where nothing is. */
  set credits(credits) {
    if (credits) this.#credits = credits;
  }

  /** @param {{model: object|undefined, quality: object|undefined}} plan - See plan.js. */
  show({ model, quality }, count) {
    const { provider } = model ?? {};
    const where = provider ? this.#texts.get("goes_to", { provider }) : this.#texts.get("stays");
    setText(this.provider, model ? where : "");
    const each = quality?.prices.text_to_image;
    const isPriced = this.isCounted && each !== undefined;
    const text = isPriced ? this.#words(each, count) : "";
    const isShort = isPriced && this.#credits.balance !== null && each * count > this.#credits.balance;
    const short = each > this.#credits?.balance ? "not_for_one" : "too_dear";
    const warning = isShort ? short : isPriced && this.#credits.low ? "low_balance" : null;
    setText(this.price, warning ? `${text}. ${this.#texts.get(warning)}` : text);
    this.price.classList.toggle("short", isShort);
  }

  #words(each, count) {
    const { balance } = this.#credits;
    const values = { n: count, each, total: each * count, balance };
    if (balance === null) return this.#texts.get("price", values);
    return this.#texts.get(count === 1 ? "price_one_of" : "price_of", values);
  }
}
