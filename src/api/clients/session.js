// sessionmeter: counts the sessions of a web page, without cookies.
// How it is used: docs/clients.md. data-timeout is in seconds.
(function () {
  "use strict";
  var script = document.currentScript;
  var options = script && script.dataset;
  var app = options && options.app;
  var key = "sessionmeter." + app + ".";
  if (!app) return console.warn("sessionmeter: the script needs data-app");
  if (window.sessionmeter) return;

  var refused = navigator.doNotTrack === "1" || navigator.globalPrivacyControl;
  if ("respectDnt" in options && options.respectDnt !== "false" && refused) {
    window.sessionmeter = { set: function () {}, identify: function () {} };
    return;
  }

  var url = new URL("sessions/collect", script.src).href;
  var timeout = 1000 * (options.timeout > 0 ? options.timeout : 1800);
  var PAUSE = 10000, LONGEST_PAUSE = 300000, KEPT = 100;

  // Storage is shared by the tabs of an origin. Where there is none, this page has a session of its own.
  var memory = {}, store = {
    getItem: function (name) { return memory[name]; },
    setItem: function (name, text) { memory[name] = text; },
    removeItem: function (name) { delete memory[name]; },
  };
  try {
    localStorage.setItem(key, "");
    store = memory = localStorage;
  } catch (_) {}
  function load(name) {
    try {
      return JSON.parse(store.getItem(key + name)) || {};
    } catch (_) {
      return {};
    }
  }
  function save(name, value) {
    try {
      store.setItem(key + name, JSON.stringify(value));
    } catch (_) {}
  }

  function random() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    var hex = Array.from(bytes, function (byte) {
      return (byte + 256).toString(16).slice(1);
    }).join("");
    return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  function fits(text, bytes) {
    return new TextEncoder().encode(text).length <= bytes;
  }

  // What is known about the person goes into a session as long as nothing of it was sent.
  function describe(session) {
    var who = load("who");
    if (!who.device) save("who", Object.assign(who, { device: random() }));
    session.device_id = who.device;
    session.user_id = who.user;
    session.attributes = who.attributes;
    return session;
  }

  function describeUnsent() {
    var current = load("now"), id = current.session && current.session.session_id;
    var waits = load("queue." + id);
    if (waits.session && !waits.tried) {
      describe(waits.session);
      save("queue." + id, waits);
      save("now", Object.assign(current, { session: waits.session }));
    }
  }

  // Each session waits under a name of its own: tabs don't overwrite what others keep.
  function enqueue(session) {
    var name = "queue." + session.session_id;
    save(name, { session: session, tried: load(name).tried });
    waiting().slice(KEPT).forEach(remove);
  }

  function remove(name) {
    store.removeItem(key + name);
  }

  // Names of what waits, the newest first.
  function waiting() {
    var names = Object.keys(memory).filter(function (name) {
      return name.indexOf(key + "queue.") === 0;
    });
    return names.map(function (name) {
      return name.slice(key.length);
    }).sort(function (one, two) {
      return load(two).session.started_at - load(one).session.started_at;
    });
  }

  // Activity: a new session, or the present one goes on.
  var seen = 0;
  function active() {
    var now = Date.now();
    if (document.visibilityState === "hidden" || Math.abs(now - seen) < 1000) return;
    seen = now;
    var current = load("now");
    if (current.session && now - current.last < timeout) {
      save("now", Object.assign(current, { last: now }));
    } else if (navigator.locks) {
      // Two tabs that open at once begin one session.
      navigator.locks.request(key, begin);
    } else {
      begin();
    }
  }

  function begin() {
    var now = Date.now(), current = load("now"), language = navigator.language;
    if (current.session && now - current.last < timeout) return;
    if (current.session) end(current);
    var session = describe({ session_id: random(), started_at: now, platform: "web" });
    if (/^[a-z]{2,8}(-[a-z0-9]{1,8})*$/i.test(language)) session.language = language;
    if (options.version) session.app_version = options.version;
    save("now", { session: session, last: now });
    enqueue(session);
    // After whatever the page sets while it loads.
    if (document.readyState === "complete") setTimeout(send);
    else addEventListener("load", function () { setTimeout(send); });
  }

  // A clock that was set back, or a session of weeks, must not make the server refuse all of it.
  function end(current) {
    var start = current.session.started_at, last = Math.min(current.last, start + 6048e5);
    enqueue(Object.assign({}, current.session, { ended_at: Math.max(last, start) }));
  }

  // The server counts a session once, however often it is sent: what is not known to have arrived is sent again.
  var sending = false, pause = PAUSE, timer;
  function body(names) {
    var sessions = names.map(function (name) {
      var waits = load(name);
      save(name, { session: waits.session, tried: true });
      return waits.session;
    });
    return JSON.stringify({ app_id: app, sessions: sessions });
  }

  function send() {
    var names = waiting();
    if (sending || !names.length) return;
    sending = true;
    clearTimeout(timer);
    var text = body(names), sent = names.map(function (name) {
      return JSON.stringify(load(name));
    });
    fetch(url, { method: "POST", body: text, credentials: "omit", keepalive: text.length < 60000 })
      .then(function (answer) {
        // What is wrong stays wrong; what can't be taken now is sent later.
        if (answer.status !== 201 && answer.status !== 400) throw answer.status;
        names.forEach(function (name, index) {
          if (JSON.stringify(load(name)) === sent[index]) remove(name);
        });
        pause = PAUSE;
        sending = false;
        send();
      })
      .catch(function () {
        sending = false;
        timer = setTimeout(send, pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE);
      });
  }

  var left;
  function leave() {
    var current = load("now");
    if (!current.session || left === current.last) return;
    left = current.last;
    end(current);
    // A text, not a Blob: its bytes are handed over at once, not when this page is gone.
    if (!(navigator.sendBeacon && navigator.sendBeacon(url, body(waiting())))) send();
  }

  function changed() {
    if (document.visibilityState === "hidden") return leave();
    active();
    send();
  }

  window.sessionmeter = {
    set: function (attributes) {
      var who = load("who"), kept = who.attributes || {};
      Object.keys(attributes || {}).forEach(function (name) {
        var value = attributes[name];
        var wrong = !/^(string|number|boolean)$/.test(typeof value) || !name || !fits(name, 64) || !fits(value, 256);
        if (value === null) delete kept[name];
        else if (wrong || (!(name in kept) && Object.keys(kept).length > 31))
          console.warn("sessionmeter: " + name + " is not kept");
        else kept[name] = value;
      });
      save("who", Object.assign(who, { attributes: kept }));
      describeUnsent();
    },
    identify: function (user) {
      var id = user === null || user === undefined ? "" : String(user);
      if (!fits(id, 256)) return console.warn("sessionmeter: a user id has at most 256 bytes");
      save("who", Object.assign(load("who"), { user: id || undefined }));
      describeUnsent();
    },
  };

  ["pointerdown", "pointermove", "keydown", "scroll", "wheel", "focus"].forEach(function (event) {
    addEventListener(event, active, { capture: true, passive: true });
  });
  addEventListener("visibilitychange", changed);
  addEventListener("pagehide", leave);
  addEventListener("pageshow", active);
  addEventListener("online", send);
  active();
  send();
})();
