// The studio's page. It draws what Python sends and sends what is moved: the messages stand in nbs/91_studio.ipynb.
// Five of the colours of Okabe and Ito, which colour-blind people can tell apart and which are seen on white and on black;
// each is used twice, for a solid and a dashed line.
const COLOURS = ['#e69f00', '#56b4e9', '#009e73', '#cc79a7', '#d55e00']
const VIEW = 12   // seconds that the charts show
const NAMES = ['pitch', 'class', 'loudness']   // of the charts
const LATE = 'the kernel has not answered for 10 s: it is busy, or gone; if it is gone, run the cell again'

// The microphone's thread: it gathers the page's blocks of 128 samples into some that are worth a message.
const BLOCKS = `registerProcessor('blocks', class extends AudioWorkletProcessor {
  held = new Float32Array(2048)
  n = 0
  process([[x]]) {
    if (!x) return true
    this.held.set(x, this.n)
    this.n = (this.n + x.length) % 2048
    if (!this.n) this.port.postMessage(this.held)
    return true
  }
})`

const REACHED = 'input, select, button, summary, audio, [tabindex]'   // what can have the focus

function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag)
  for (const [k, v] of Object.entries(attributes)) {
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v)
    else if (v === true) e.setAttribute(k, '')
    else if (v !== false && v != null) e.setAttribute(k, v)
  }
  // its keys are its own: JupyterLab's `d d` on a slider would delete the cell, and arrows would leave it
  if (e.matches(REACHED)) e.setAttribute('data-lm-suppress-shortcuts', '')
  e.append(...children)
  return e
}

function labelled(text, input) { return make('label', {}, make('span', {}, text), input) }

// Put something new in the place of what had the focus, and whoever works by keyboard stays where they were.
function anew(form, build) {
  const at = [...form.querySelectorAll(REACHED)].indexOf(document.activeElement)
  build()
  if (at >= 0) form.querySelectorAll(REACHED)[at]?.focus()
}

function choice(options, value, onchange, label) {
  const e = make('select', { onchange: () => onchange(e.value), 'aria-label': label },
    ...options.map(o => make('option', { value: o, selected: o === value }, o)))
  return e
}

// What was typed as a number; null, which Python refuses in words, for what is none.
function typed(e) { return e.value === '' || isNaN(e.value) ? null : Number(e.value) }

// ---- what is known of the sound: a row a moment (loudness, onset, centroid, classes, mel)

class Moments {
  constructor() { this.rows = [] }
  add(head, view) {
    const x = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength))
    for (let i = 0; i < head.n; i++) this.rows[head.first + i] = x.subarray(i * head.width, (i + 1) * head.width)
    if (head.live && this.rows.length > 9000) for (let t = this.rows.length - 9000; this.rows[t]; t--) delete this.rows[t]
  }
}

// From dark blue by grey to yellow, as cividis
const HEAT = Uint32Array.from({ length: 256 }, (_, i) => {
  const v = i / 255, [r, g, b] = [255 * v, 34 + 198 * v, 78 + 40 * Math.sin(Math.PI * v) - 8 * v].map(Math.round)
  return 255 << 24 | b << 16 | g << 8 | r
})

class Charts {
  constructor(classes) {
    this.classes = classes
    this.mel = this.canvas('spectrogram: time to the right, pitch upwards; the box is the part of it that explain asks about', 160)
    this.note = make('div', { class: 'note' }, 'box: what explain asks about')
    this.lines = this.canvas('probability of each class over time', 120)
    this.loud = this.canvas('loudness over time', 70)
    this.shares = classes.map(() => make('b'))
    this.legend = make('div', { class: 'legend' }, ...classes.map((c, i) =>
      make('span', {}, make('u', { style: `border-top: 3px ${i < 5 ? 'solid' : 'dashed'} ${COLOURS[i % 5]}` }), c + ' ', this.shares[i])))
  }
  canvas(label, height) { return make('canvas', { width: 720, height, role: 'img', 'aria-label': label }) }

  draw(moments, fps, t, why, box) {
    const ink = getComputedStyle(this.mel).color
    const first = Math.max(0, Math.round(t - VIEW * fps / 2)), n = Math.round(VIEW * fps)
    const x = k => (k - first) / n * 720
    this.spectrogram(moments, first, n)
    const g = this.mel.getContext('2d')
    if (why) this.map(g, why, s => x(s * fps - .5))
    g.strokeStyle = '#fff'
    this.note.hidden = !box
    if (box) g.strokeRect(x(t - box / 2 * fps), 1, box * fps / n * 720, 158)
    this.curves(this.lines, moments, first, n, this.classes.map((_, i) => [3 + i, COLOURS[i % 5]]))
    this.curves(this.loud, moments, first, n, [[0, ink]])
    const now = moments.rows[Math.max(0, t)]
    this.shares.forEach((e, i) => { e.textContent = now && now[3 + i] > .05 ? `${Math.round(100 * now[3 + i])} %` : '' })
    for (const c of [this.mel, this.lines, this.loud]) {
      const h = c.getContext('2d')
      h.fillStyle = c === this.mel ? '#fff' : ink
      h.fillRect(x(t), 0, 2, c.height)
      h.font = '12px sans-serif'
      h.fillText(NAMES[c === this.mel ? 0 : c === this.lines ? 1 : 2], 6, 15)
    }
  }
  spectrogram(moments, first, n) {
    const bands = 64, picture = new ImageData(n, bands), pixels = new Uint32Array(picture.data.buffer)
    for (let i = 0; i < n; i++) {
      const row = moments.rows[first + i]
      if (!row) continue
      for (let b = 0; b < bands; b++) pixels[(bands - 1 - b) * n + i] = HEAT[Math.round(255 * Math.min(1, Math.max(0, row[row.length - bands + b])))]
    }
    const small = new OffscreenCanvas(n, bands), g = this.mel.getContext('2d')
    small.getContext('2d').putImageData(picture, 0, 0)
    g.clearRect(0, 0, 720, 160)
    g.drawImage(small, 0, 0, 720, 160)
  }
  map(g, why, x) {
    // a veil over what did not matter: that can be seen on every colour, by every eye
    const rows = why.map.length, cols = why.map[0].length, [a, b] = why.span.map(x)
    why.map.forEach((row, r) => row.forEach((v, c) => {
      g.fillStyle = `rgba(0,0,0,${.75 * (1 - v)})`
      g.fillRect(a + (b - a) * c / cols, 160 * (1 - (r + 1) / rows), (b - a) / cols, 160 / rows)
    }))
  }
  curves(canvas, moments, first, n, what) {
    const g = canvas.getContext('2d'), h = canvas.height
    g.clearRect(0, 0, 720, h)
    what.forEach(([column, colour], i) => {
      g.beginPath()
      g.strokeStyle = colour
      g.lineWidth = 2
      g.setLineDash(i < 5 ? [] : [6, 3])
      for (let k = 0; k < n; k++) {
        const row = moments.rows[first + k]
        if (row) g.lineTo(k / n * 720, (h - 2) * (1 - row[column]) + 1)
      }
      g.stroke()
    })
  }
}

// ---- a side: its picture, the path of its bands, its controls

class Side {
  constructor(k, page) {
    this.k = k
    this.page = page
    this.picture = make('img', { alt: `picture ${'AB'[k]}`, class: 'picture', width: 384, height: 384 })
    this.path = make('canvas', { width: 384, height: 90, role: 'img',
      'aria-label': 'path of the coarse, mid and fine band, each along the two directions in which it moved most of late' })
    this.box = make('figure', {}, this.picture, this.path,
      make('figcaption', {}, 'AB'[k] + ' · paths, each in its own main directions: ', ...['coarse', 'mid', 'fine'].map((b, i) =>
        make('span', {}, make('i', { style: `background:${COLOURS[i]}` }), b))))
    this.form = make('div', { class: 'controls' })
    this.moves = make('span', { hidden: true }, '', make('button', { type: 'button', onclick: () => page.move({ do: 'forget', side: k }) },
      'take these controls for the whole sound'))
  }
  show(message, view) {
    if (this.url) URL.revokeObjectURL(this.url)
    this.url = URL.createObjectURL(new Blob([view], { type: 'image/jpeg' }))
    this.picture.src = this.url
    this.picture.dataset.frame = message.t
    const g = this.path.getContext('2d')
    g.clearRect(0, 0, 384, 90)
    message.paths.forEach((points, i) => {
      const far = Math.max(.05, ...points.map(p => Math.hypot(...p)))
      const at = ([x, y]) => [64 + 128 * i + 40 * x / far, 45 - 40 * y / far]
      g.strokeStyle = g.fillStyle = COLOURS[i]
      g.beginPath()
      points.forEach(p => g.lineTo(...at(p)))
      g.stroke()
      if (points.length) g.fillRect(at(points.at(-1))[0] - 3, at(points.at(-1))[1] - 3, 6, 6)
    })
  }
  changed() {   // with what was known before: somebody else may have turned another knob meanwhile
    this.page.move({ do: 'set', side: this.k, controls: this.controls, before: this.known })
    this.known = structuredClone(this.controls)
  }

  build({ controls, model: name, moves }) {
    this.moves.hidden = !moves
    this.moves.firstChild.textContent = `${'AB'[this.k]}: ${moves} moved while it played `
    this.controls = controls
    this.known = structuredClone(controls)
    const { setup } = this.page, c = controls, changed = () => this.changed()
    const whole = key => {
      const e = make('input', { type: 'number', min: 0, step: 1, value: c[key], onchange: () => { c[key] = typed(e); changed() } })
      return e
    }
    const band = (i, b) => make('fieldset', {}, make('legend', {}, b),
      labelled('sound', make('input', { type: 'number', min: 0, max: 9, value: c.sounds[i],
        onchange: e => { c.sounds[i] = typed(e.target); changed() } })),
      labelled('held', make('input', { type: 'checkbox', checked: c.held[i],
        onchange: e => { c.held[i] = e.target.checked; changed() } })))
    const preset = choice(['preset ...', ...Object.keys(setup.gallery)], 'preset ...', v => {
      if (v in setup.gallery) this.page.move({ do: 'preset', side: this.k, name: v })
    }, 'preset')
    const model = make('input', { value: name, size: 12, onchange: () =>
      this.page.move({ do: 'model', side: this.k, name: model.value }) })
    this.form.replaceChildren(
      make('div', { class: 'row' }, preset, labelled('model', model), labelled('seed', whole('seed')),
        labelled('other', whole('other')),
        labelled('changes', choice(setup.timings, c.step, v => { c.step = v; changed() }, 'when it may change'))),
      make('div', { class: 'row' }, ...setup.bands.map((b, i) => band(i, b))),
      make('div', { class: 'numbers' }, ...Object.keys(setup.ranges).map(k => this.number(k))))
  }
  number(key) {
    const { setup } = this.page, c = this.controls, [low, high] = setup.ranges[key]
    const value = c.numbers[key] ?? setup.plain[key] ?? 0, route = c.routes[key]
    const shown = make('output', {}, value.toFixed(2))
    const slider = make('input', { type: 'range', min: low, max: high, step: (high - low) / 100, value,
      'aria-label': key, oninput: () => { c.numbers[key] = +slider.value; shown.value = (+slider.value).toFixed(2); this.changed() } })
    const redraw = () => { this.changed(); anew(this.form, () => row.replaceWith(this.number(key))) }
    const follows = choice(['by hand', ...setup.curves], route ? route.curve : 'by hand', v => {
      if (v === 'by hand') delete c.routes[key]
      else c.routes[key] = { curve: v, low: Math.max(low, 0), high: Math.min(1, high), gain: 1, ...c.routes[key], ...{ curve: v } }
      redraw()
    }, `${key} follows`)
    const part = name => labelled(name, make('input', { type: 'number', step: .1, value: route[name], 'aria-label': `${key} ${name}`,
      onchange: e => { route[name] = typed(e.target); this.changed() } }))
    const row = make('div', { class: 'number' }, make('span', { title: setup.names[key] }, key),
      ...(route ? ['low', 'high', 'gain'].map(part) : [slider, shown]), follows)
    return row
  }
}

// ---- the page

class Page {
  constructor(model, el) {
    this.model = model
    this.el = el
    this.t = 0
    this.drawnAt = 0
    this.lead = 0       // seconds from asking for a picture to having it
    this.moments = this.played = new Moments()      // what is shown; those of the file
    this.view = Math.random().toString(36).slice(2) // its name: a notebook may have several views of one studio
    this.given = {}     // files that are read by Python, by number
    this.box = 0
    this.send({ do: 'hello' })
  }
  send(message, buffers = []) {
    if (!this.over) this.model.send({ view: this.view, playing: !(this.audio?.paused ?? true), ...message }, undefined, buffers)
  }
  move(message) {   // something that changes the picture of this frame
    this.send({ t: this.t, ...message })
    this.again()
  }

  take(message, buffers) {
    const say = { setup: () => this.build(message), controls: () => { this.sides[message.side].told = message },
      sound: () => this.loaded(message), audio: () => this.hears(new Blob([buffers[0]])),
      over: () => this.context && this.close(), frame: () => this.frame(message, buffers[0]),
      heard: () => { if (!message.live || this.context) (message.live ? this.moments : this.played).add(message, buffers[0]) },
      why: () => { this.why = message; this.say(message.cls ? `${message.cls}, ${Math.round(100 * message.p)} %: what is bright mattered` : 'what is bright moved the code') },
      beside: () => this.say('sounds: ' + message.names.map((n, i) => `${i} ${n}`).join(', ')), said: () => this.say(message.line),
      pace: () => { this.pace.textContent = message.line } }
    if ((message.to ?? this.view) !== this.view || message.but === this.view) return
    if (message.kind === 'setup' || this.setup) say[message.kind]?.()
  }
  say(line) { this.status.textContent = line }

  build(setup) {
    if (this.setup) return
    this.setup = setup
    this.fps = setup.fps
    this.sides = [new Side(0, this), new Side(1, this)]
    this.charts = new Charts(setup.classes)
    const heard = () => this.ask(this.clamped(Math.floor(this.audio.currentTime * this.fps)))
    this.audio = make('audio', { controls: true, onpause: heard, onseeked: () => { if (!this.own) heard(); this.own = false } })
    this.status = make('div', { class: 'status', role: 'status', 'aria-live': 'polite' }, 'drop a sound here')
    this.pace = make('div', { class: 'note' })
    this.ahead = make('input', { type: 'number', value: 0, min: 0, max: 60, step: .1 })
    this.side = choice(['A', 'B'], 'A', () => {})
    this.compare = make('input', { type: 'checkbox', onchange: () => {
      this.root.classList.toggle('two', this.compare.checked)
      this.side.value = 'A'
      this.again()
    } })
    const file = (label, how) => labelled(label, make('input', { type: 'file', class: how, accept: 'audio/*,video/*',
      onchange: e => this.give(e.target.files[0], how) }))
    this.scrub = make('input', { type: 'range', min: 0, max: 0, value: 0, 'aria-label': 'moment', class: 'scrub', oninput: () => this.seek(+this.scrub.value) })
    const button = (text, onclick) => make('button', { onclick, type: 'button' }, text)
    this.recording = button('record', () => this.record())
    this.mic = button('live', () => this.open())
    const size = make('input', { type: 'number', value: 512, min: 16, max: 4096, step: 2, 'aria-label': 'pixels' })
    const out = what => { this.say('drawing ...'); this.send({ do: 'export', what, size: typed(size), side: this.chosen() }) }
    this.root = make('div', { class: 'sgsvg-studio', tabindex: 0, 'aria-label': 'studio', onkeydown: e => this.key(e) },
      make('div', { class: 'row' }, file('sound', 'sound'), file('beside', 'beside'), this.recording, this.mic,
        labelled('look-ahead', this.ahead), button('explain', () => this.send({ do: 'explain', t: this.t, side: this.chosen() })),
        labelled('compare', this.compare), make('span', { class: 'other' }, labelled('explain, export and presets are of', this.side))),
      this.status, this.pace, make('div', { class: 'row' }, this.audio), this.scrub,
      make('div', { class: 'stage' }, ...this.sides.map(s => s.box),
        make('div', { class: 'charts' }, this.charts.mel, this.charts.note, this.charts.lines, this.charts.legend, this.charts.loud)),
      make('div', { class: 'forms' }, ...this.sides.map((s, i) => make('details', { open: i === 0 }, make('summary', {}, `controls ${'AB'[i]}`), s.form))),
      make('div', { class: 'row' }, labelled('pixels', size), button('mp4', () => out('mp4')), button('PNGs', () => out('png')),
        button('log', () => out('log')), button('save preset', () => this.save()), labelled('open preset',
          make('input', { type: 'file', accept: '.json', onchange: e => this.preset(e.target.files[0]) }))),
      make('div', { class: 'note' }, 'What is exported is what is seen: the whole sound with the controls as they stand; ' +
        'what is moved while it plays counts from there on. ', ...this.sides.map(s => s.moves)))
    this.root.addEventListener('dragover', e => e.preventDefault())
    this.root.addEventListener('drop', e => { e.preventDefault(); this.give(e.dataTransfer.files[0], e.shiftKey ? 'beside' : 'sound') })
    this.el.replaceChildren(this.root)
    this.tick()
  }
  key(e) {
    if (e.key === 'Enter' && e.target.matches('input')) { e.target.blur(); e.target.focus() }   // JupyterLab keeps Enter from changing a field
    if (e.target !== this.root) return
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key]
    if (e.key === ' ') this.audio.paused ? this.audio.play() : this.audio.pause()
    else if (step) this.seek(this.t + step)
    else return
    e.preventDefault()
  }

  // -- sounds
  async give(file, how) {
    if (!file) return
    if (this.context) this.close()
    const id = Object.keys(this.given).length
    this.given[id] = file
    this.say(`${file.name} is read`)
    this.send({ do: how, name: file.name, id }, [await file.arrayBuffer()])
  }
  hears(blob) {     // the player has the sound that Python has; a recording may not be able to go there, the picture is
    if (this.audio.src) URL.revokeObjectURL(this.audio.src)
    this.audio.src = URL.createObjectURL(blob)
    this.own = true
    this.audio.currentTime = (this.t + .5) / this.fps
  }
  loaded(about) {
    const mine = about.by === this.view && this.given[about.id]
    if (this.context) this.close()
    this.moments = this.played = new Moments()
    this.why = null
    this.box = about.box
    this.charts.note.textContent = `box: the ${about.box.toFixed(1)} s that explain asks about`
    this.fps = about.fps
    this.frames = about.frames
    this.scrub.max = about.frames - 1
    this.say(`${about.name}, ${about.seconds.toFixed(1)} s`)
    this.ask(0)
    if (mine) this.hears(mine)
    else this.send({ do: 'audio' })
  }
  chosen() { return this.side.value === 'B' ? 1 : 0 }
  clamped(t) { return Math.max(0, Math.min(t, (this.frames ?? 1) - 1)) }
  seek(t) {
    t = this.clamped(t)
    if (this.audio.src) {
      this.own = true   // a recording may not be able to go there; the picture is
      this.audio.currentTime = (t + .5) / this.fps
    }
    this.ask(t)
  }
  async microphone() {
    this.mic.disabled = this.recording.disabled = true
    try { return await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } }) }
    catch (e) { this.say(`no microphone (${e.name ?? 'not allowed here'}): allow it in the browser, or drop a file`) }
    finally { this.mic.disabled = this.recording.disabled = false }
  }
  async record() {
    if (this.recorder) return this.recorder.stop()
    const stream = await this.microphone()
    if (!stream) return
    const parts = []
    this.recorder = new MediaRecorder(stream)
    this.recorder.ondataavailable = e => parts.push(e.data)
    this.recorder.onstop = () => {
      stream.getTracks().forEach(o => o.stop())
      this.recorder = null
      this.recording.textContent = 'record'
      this.give(new File(parts, 'recording.webm', { type: 'audio/webm' }), 'sound')
    }
    this.recorder.start()
    this.recording.textContent = 'stop'
  }
  async open() {
    if (this.context) return this.close()
    const stream = await this.microphone()
    if (!stream) return
    this.context = new AudioContext()
    await this.context.audioWorklet.addModule(URL.createObjectURL(new Blob([BLOCKS], { type: 'text/javascript' })))
    this.node = new AudioWorkletNode(this.context, 'blocks', { numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' })
    this.node.port.onmessage = e => this.context && this.send({ do: 'mic', sr: this.context.sampleRate }, [e.data.buffer])
    this.stream = stream
    for (const o of stream.getTracks()) o.onended = () => this.context && this.close()   // it was unplugged
    this.moments = new Moments()
    this.why = null
    this.audio.pause()
    this.send({ do: 'live', on: true, ahead: typed(this.ahead) })
    this.context.createMediaStreamSource(stream).connect(this.node)
    this.mic.textContent = 'end'
    this.say('live: what the microphone hears is played')
  }
  close() {
    this.stream.getTracks().forEach(o => o.stop())
    this.context.close()
    this.context = null
    this.mic.textContent = 'live'
    this.pace.textContent = ''
    this.send({ do: 'live', on: false })
    this.moments = this.played      // the file is there again
    this.t = this.clamped(+this.scrub.value)
    this.again()
  }

  // -- pictures
  ask(t) {
    if (this.context) return
    this.t = t
    this.scrub.value = t
    if (this.asked || !this.frames) return   // one at a time: what comes too late is not asked for
    this.asked = performance.now()
    this.last = t
    this.send({ do: 'frame', t, sides: this.compare.checked ? [0, 1] : [0], asked: this.asked })
    setTimeout(() => {
      if (this.over || !this.asked || performance.now() - this.asked < 9000) return
      this.asked = 0
      if (this.status.textContent !== LATE) this.said = this.status.textContent
      this.say(LATE)
    }, 10000)
  }
  again() { this.last = null }

  frame(message, view) {
    if (this.status.textContent === LATE) this.say(this.said)
    if (!message.live === !this.context) this.sides[message.side].show(message, view)   // else of what was played before
    if (message.live && this.context) this.t = message.t
    if (message.live || message.asked !== this.asked || message.side !== (this.compare.checked ? 1 : 0)) return
    this.lead = .8 * this.lead + .2 * Math.min(.5, (performance.now() - this.asked) / 1000)
    this.asked = 0
  }
  end() {
    this.audio?.pause()
    if (this.context) this.close()
    this.over = true
  }
  gone() {
    if (this.over || !this.root) return
    this.end()
    for (const e of this.root.querySelectorAll('input, select, button')) e.disabled = true
    this.say('the kernel of this studio is gone: run the cell again')
  }
  tick() {
    if (this.over) return
    for (const s of this.sides.filter(s => s.told)) {   // once a frame, however fast a knob is turned
      anew(s.form, () => s.build(s.told))
      s.told = null
      this.again()
    }
    if (this.frames && !this.context) {
      const t = this.audio.paused ? this.t : this.clamped(Math.floor((this.audio.currentTime + this.lead) * this.fps))
      if (t !== this.last) this.ask(t)
    }
    const now = performance.now(), drawn = [this.t, this.moments.rows.length, this.why?.t].join()
    if (drawn !== this.drawn && now - this.drawnAt > 90) {   // charts leave the machine to the picture
      this.charts.draw(this.moments, this.fps, this.t, this.why, this.context ? 0 : this.box)
      this.drawn = drawn
      this.drawnAt = now
    }
    requestAnimationFrame(() => this.tick())
  }

  // -- presets
  save() {
    const a = make('a', { download: 'preset.json', href: URL.createObjectURL(new Blob([JSON.stringify(this.sides[this.chosen()].controls, null, 1)])) })
    a.click()
  }
  async preset(file) {
    if (!file) return
    try { this.move({ do: 'preset', side: this.chosen(), controls: JSON.parse(await file.text()) }) }
    catch { this.say(`${file.name} is no preset`) }
  }
}

export default {
  render({ model, el }) {
    const page = el.studio = new Page(model, el)
    const take = (message, buffers) => page.take(message, buffers), gone = () => page.gone()
    model.on('msg:custom', take)
    model.on('comm_live_update', gone)   // the kernel was restarted
    return () => { model.off('msg:custom', take); model.off('comm_live_update', gone); page.end() }
  }
}
