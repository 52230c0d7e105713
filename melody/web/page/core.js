// The native core in WebAssembly: memory, a model, and takes drawn by its loop. `melody.web.model` says what it is given.

const POINTER = 4;
const STEPS = 64; // tokens a call
const REASONS = { 1: "a token or channel lies beyond its size", 2: "the model gives no numbers", 11: "a token makes no sense where it stands" };
const FORM_PLAN = { there: 1 }; // core/aligned_memory.h
const MOMENT = ["bar", "bar_start", "bar_ticks", "meter", "key", "stop"]; // core/reader.h
const CHORD_CHANNELS = 6;
const NO_CHORDS = [0, 0, 0]; // core/reader.h

export class Core {
  static async open(given) {
    let core = null;
    const page = { draw_chords: (moment, chords) => core.drawChords(moment, chords) };
    const { instance } = await WebAssembly.instantiate(await unpacked(given.core), { page });
    instance.exports._initialize();
    instance.exports.vocabulary_fill();
    const bytes = await unpacked(given.arrays);
    core = new Core(instance.exports, given, bytes.buffer);
    return core;
  }

  constructor(calls, given, buffer) {
    Object.assign(this, { calls, given, buffer });
    this.lent = []; // memory of the take that is drawn
    const { width, layers, channels, vocabulary } = given.sizes;
    const table = this.table(width);
    const arrays = [table, this.array("table_places"), this.array("first")].map((array) => this.put(array));
    this.model = calls.model_new(0, width, layers, channels, vocabulary, table.length / width, ...arrays);
    for (let place = 0; place < given.matrices.length; place += 1) this.addMatrix(place, given.matrices[place]);
    if (given.intervals) this.addIntervals(given.intervals);
    this.release();
    this.columns = this.put(this.array("columns"));
    this.rules = this.putRules(given.rules);
    this.lent = [];
  }

  // ---- arrays and structures in the core's memory ----

  array(name) {
    const [type, offset, count] = this.given.index[name];
    return new TYPES[type](this.buffer, offset, count);
  }

  // Each row times its scale.
  table(width) {
    const scales = this.array("table_scales");
    return Int32Array.from(this.array("table"), (value, place) => value * scales[Math.floor(place / width)]);
  }

  room(bytes) {
    const place = this.calls.room_new(bytes);
    if (!place) throw new Error("there is not enough memory");
    this.lent.push(place);
    return place;
  }

  put(array) {
    const place = this.room(array.byteLength);
    new Uint8Array(this.calls.memory.buffer, place).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return place;
  }

  ints(...numbers) {
    return this.put(Int32Array.from(numbers));
  }

  // A copy of numbers in memory, which may grow under a view.
  take(Type, place, count) {
    return new Type(this.calls.memory.buffer, place, count).slice();
  }

  addMatrix(place, { outputs, blocks, bits }) {
    const parts = ["values", "scales", "bias"].map((name) => this.put(this.array(`${name}_${place}`)));
    if (!this.calls.model_matrix(this.model, place, outputs, blocks, bits, ...parts)) throw new Error("there is not enough memory");
  }

  addIntervals({ references, pitches, first_pitch, values }) {
    const parts = ["interval_columns", "interval_first", "interval_places"].map((name) => this.put(this.array(name)));
    this.calls.model_intervals(this.model, references, pitches, first_pitch, ...parts, values);
  }

  // As core/rules.h has them; the rule of the exact number of bars stands where `given.bars_rule` says.
  putRules(rules) {
    const all = rules.flatMap(({ kind, numbers, count, width, mask, table }) => [
      kind,
      ...numbers,
      count,
      width,
      mask ? this.put(this.array(mask)) : 0,
      table ? this.put(this.array(table)) : 0,
    ]);
    return { place: this.ints(...all, 0), words: all.length / Math.max(1, rules.length), count: rules.length };
  }

  formPlan(form) {
    if (!form) return this.ints(0, 0, 0, 0, 0, 0, 0, 0, 0);
    const bars = Math.max(...form.lines.map((line) => line.length));
    const symbols = new Int32Array(form.lines.length * bars * 2);
    form.lines.forEach((line, at) => line.forEach(([lag, like], bar) => symbols.set([lag, like], (at * bars + bar) * 2)));
    const none = this.room(16);
    return this.ints(FORM_PLAN.there, form.pickup, form.lines.length, form.byTrack, bars, 0, this.put(symbols), none, none);
  }

  // Puts the chords of the take that is drawn where the core asks for them; 1: they are there.
  drawChords(moment, chords) {
    const numbers = this.take(Int32Array, moment, MOMENT.length);
    const table = this.chords(Object.fromEntries(MOMENT.map((name, at) => [name, numbers[at]])));
    const place = this.put(table);
    new Int32Array(this.calls.memory.buffer, chords, 2).set([table.length / CHORD_CHANNELS, place]);
    return 1;
  }

  release() {
    this.lent.forEach(this.calls.room_free);
    this.lent = [];
  }

  // ---- takes ----

  numbers(seed, take, stream) {
    const word = BigInt.asUintN(64, BigInt(seed));
    const numbers = this.calls.numbers_new(Number(word & 0xffffffffn), Number(word >> 32n), take, stream);
    this.lent.push(numbers);
    return numbers;
  }

  check(failed) {
    if (failed) throw new Error(REASONS[failed] ?? `the core fails (${failed})`);
  }

  // Yields tokens as they are drawn, some at a time: those before the new music first. One take is drawn at a time.
  *compose({ seed, take = 1, bars, temperature, form, chords }) {
    const { calls, given } = this;
    this.chords = chords;
    const reader = this.readerFor(bars, form);
    try {
      const carry = this.put(this.array(given.carry));
      const logits = this.put(new Float32Array(given.sizes.vocabulary));
      const line = given.ids.lastIndexOf(given.bar);
      this.read(reader, given.ids.slice(0, line), carry, logits);
      if (form || chords) {
        const later = chords ? [0, 0, calls.chords_function()] : NO_CHORDS;
        calls.reader_replan(reader, this.formPlan(form), this.ints(...later));
      }
      this.read(reader, given.ids.slice(line), carry, logits);
      yield given.ids;
      yield* this.draw(reader, carry, logits, this.numbers(seed, take, 0), bars, temperature);
    } finally {
      calls.reader_free(reader);
      this.release();
    }
  }

  // A reader of a piece of so many bars, before any token; of the form it knows that there is one.
  readerFor(bars, form) {
    const known = form ? { pickup: 0, byTrack: form.byTrack, lines: form.lines.map(() => []) } : null;
    const { stop, key_told, whole, had_pickup, foreseen_ticks } = this.given.plan;
    const foreseen = foreseen_ticks ? this.put(this.array("foreseen")) : 0;
    const plan = this.ints(bars, stop, key_told, whole, had_pickup, foreseen_ticks, foreseen, ...NO_CHORDS);
    return this.calls.reader_new(this.columns, plan, this.formPlan(known));
  }

  read(reader, ids, carry, logits) {
    const { width, channels } = this.given.sizes;
    const [states, contexts] = [this.room(ids.length * width * 4), this.room(ids.length * channels * 2)];
    const tokens = this.ints(...ids);
    this.check(this.calls.loop_read(this.model, reader, tokens, ids.length, carry, states, contexts, logits));
  }

  *draw(reader, carry, logits, numbers, bars, temperature) {
    const { calls, given } = this;
    const { top_k, top_p, min_p } = given.sampling;
    const sampling = this.put(Float64Array.of(temperature ?? given.sampling.temperature, top_p, min_p, 0));
    new Int32Array(calls.memory.buffer, sampling + 24, 1)[0] = top_k;
    const [readers, functions, states] = [reader, calls.numbers_function(), numbers].map((one) => this.ints(one));
    const { place, count, words } = this.rules;
    const ofRules = new Int32Array(calls.memory.buffer, place, count * words);
    if (given.bars_rule !== null) ofRules[given.bars_rule * words + 1] = bars;
    const loop = calls.loop_new(this.model, place, count, sampling, 0, 1, readers, carry, logits, functions, states);
    if (!loop) throw new Error("there is not enough memory");
    try {
      const [tokens, nats] = [this.room(STEPS * POINTER), this.room(STEPS * 8)];
      for (let going = 1; going; going = calls.loop_goes_on(loop)) {
        const made = calls.loop_run(loop, STEPS, 0, tokens, nats);
        this.check(Math.max(0, -made));
        yield [...this.take(Int32Array, tokens, made)].filter((token) => token >= 0);
      }
    } finally {
      calls.loop_free(loop);
    }
  }
}

// ---- what the page was given ----

const TYPES = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, i4: Int32Array, f4: Float32Array };

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
