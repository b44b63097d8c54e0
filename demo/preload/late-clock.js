/** Loaded into a batch server before the shop: its clock is two seconds late. */
const LATE = 2_000;

globalThis.Date = class LateDate extends Date {
  constructor(...time) {
    if (time.length === 0) super(LateDate.now());
    else super(...time);
  }

  static now() {
    return super.now() - LATE;
  }
};
