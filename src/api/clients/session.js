// sessionmeter: counts the sessions of a web page, without cookies.
// How it is used: docs/clients.md. It is served without its comments.
(function () {
  "use strict";
  var PAUSE = 10000, LONGEST_PAUSE = 300000, PATIENCE = 30000, LOCK_WAIT = 1000, LONGEST_SESSION = 6048e5;
  // Sessions that are kept until they are sent, and bytes of a request: a page that is left may send two of them, 64 KiB.
  var KEPT = 100, MOST_BYTES = 30000;
  var REGISTRY = Symbol.for("sessionmeter"), LANGUAGE = /^[a-z]{2,8}(-[a-z0-9]{1,8})*$/i;
  var running, script, app, prefix, timeout, shared;

  // The page must not see an error of this script, whatever the browser refuses.
  function guarded(call) {
    return function () {
      try {
        return call.apply(this, arguments);
      } catch (error) {
        return undefined;
      }
    };
  }

  function once(call) {
    var done = false;
    return guarded(function (value) {
      if (!done) {
        done = true;
        call(value);
      }
    });
  }

  // Options stand on the element (data-version) or, where those are stripped, in the script's address (?version=).
  function option(name, element) {
    element = element || script;
    var value = element.getAttribute("data-" + name);
    return value === null ? new URL(element.src).searchParams.get(name) : value;
  }

  function has(name) {
    var value = option(name);
    return value !== null && value !== "false";
  }

  // A module has no current script, and an element may have taken that name: then it is one that loads this file and
  // is not running yet.
  function element() {
    var own = document.currentScript, named = document.querySelectorAll("script[src*='session.js']");
    if (own && own.localName === "script" && own.src) return own;
    return Array.from(named).find(function (element) {
      var app = option("app", element);
      return app && !running[app.trim()];
    });
  }

  // The tabs of an origin share its storage. What it doesn't take, or loses, this page still knows.
  var memory = Object.create(null);
  function load(name) {
    var text = null, here = memory[name], value;
    try {
      text = shared.getItem(prefix + name);
    } catch (_) {}
    if (here && (here.unsaved || text === null)) text = here.text;
    try {
      value = JSON.parse(text);
    } catch (_) {}
    return object(value);
  }

  // Whether other pages will know it, too.
  function save(name, value) {
    var text = JSON.stringify(value), saved = false;
    try {
      shared.setItem(prefix + name, text);
      saved = shared.getItem(prefix + name) === text;
    } catch (_) {}
    memory[name] = { text: text, unsaved: !saved };
    // A page that clears its storage means to forget the person.
    if (saved && name === "who") delete memory[name];
    return saved;
  }

  function remove(name) {
    delete memory[name];
    try {
      shared.removeItem(prefix + name);
    } catch (_) {}
  }

  function names() {
    var all = Object.keys(memory);
    try {
      Object.keys(shared).forEach(function (name) {
        if (name.indexOf(prefix) === 0) all.push(name.slice(prefix.length));
      });
    } catch (_) {}
    return Array.from(new Set(all));
  }

  // What lies in storage may have any shape.
  function object(value) {
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  }

  function sound(session) {
    return object(session).session_id && typeof session.session_id === "string" && Number.isFinite(session.started_at);
  }

  function bytes(text) {
    return new TextEncoder().encode(text).length;
  }

  // JavaScript cuts texts in the middle of a character; half of one is none.
  function whole(text) {
    return new TextDecoder().decode(new TextEncoder().encode(text));
  }

  function fits(text, most) {
    return typeof text === "string" && text !== "" && bytes(text) <= most;
  }

  function random() {
    var bytes = new Uint8Array(16);
    try {
      crypto.getRandomValues(bytes);
    } catch (_) {
      for (var index = 0; index < 16; index += 1) bytes[index] = Math.random() * 256;
    }
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    var hex = Array.from(bytes, function (byte) {
      return (byte + 256).toString(16).slice(1);
    }).join("");
    return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  // What is known about the person goes into a session as long as nothing of it was sent.
  function describe(session) {
    var who = load("who");
    if (!fits(who.device, 256)) {
      who.device = random();
      // An id that is gone with the page would make a new person of each page view.
      if (!save("who", who)) {
        delete who.device;
        save("who", who);
      }
    }
    session.device_id = who.device;
    session.user_id = who.user;
    session.attributes = who.attributes;
    return session;
  }

  function describeUnsent() {
    var present = current();
    if (!present.session) return;
    var name = "queue." + present.session.session_id, waits = load(name);
    if (!sound(waits.session) || waits.tried) return;
    describe(waits.session);
    save(name, waits);
    save("now", { session: waits.session, last: present.last });
  }

  // Each session waits under a name of its own: tabs don't overwrite what others keep.
  function enqueue(session) {
    var name = "queue." + session.session_id;
    save(name, { session: session, tried: load(name).tried });
    waiting().slice(KEPT).forEach(function (item) {
      remove(item.name);
    });
  }

  // What waits: first what did not fail yet, then the newest.
  var delivered = Object.create(null), failures = Object.create(null);
  function waiting() {
    var found = [];
    names().forEach(function (name) {
      if (name.indexOf("queue.") !== 0) return;
      var session = load(name).session;
      if (!sound(session)) return remove(name);
      var item = { name: name, session: session, text: JSON.stringify(session), failures: failures[name] || 0 };
      // Storage may refuse to forget what was delivered.
      if (delivered[name] !== item.text) found.push(item);
    });
    return found.sort(function (one, two) {
      return one.failures - two.failures || two.session.started_at - one.session.started_at;
    });
  }

  // The session that goes on, if there is one, and its last activity.
  function current() {
    var now = load("now");
    return sound(now.session) && Number.isFinite(now.last) ? now : {};
  }

  function goesOn(now) {
    var present = current();
    // A clock that was set back is no reason to wait until it has caught up.
    if (!present.session || Math.abs(now - present.last) >= timeout) return false;
    save("now", { session: present.session, last: now });
    return true;
  }

  function hidden() {
    return document.visibilityState === "hidden";
  }

  // Activity: a new session, or the present one goes on.
  var seen = 0, starting = function () {};
  function active() {
    var now = Date.now();
    if (hidden() || Math.abs(now - seen) < 1000) return;
    seen = now;
    if (goesOn(now)) return;
    starting = once(begin);
    if (!shared) return starting();
    // Two tabs that open at once begin one session. A lock that is refused, or never granted, costs none.
    setTimeout(starting, LOCK_WAIT);
    try {
      navigator.locks.request(prefix, starting).catch(starting);
    } catch (_) {
      starting();
    }
  }

  function begin() {
    var now = Date.now(), before = current(), version = option("version");
    if (goesOn(now)) return;
    if (before.session) end(before);
    var session = describe({ session_id: random(), started_at: now, platform: "web" });
    if (LANGUAGE.test(navigator.language)) session.language = navigator.language;
    if (version) session.app_version = whole(version);
    save("now", { session: session, last: now });
    enqueue(session);
    // After whatever the page sets while it loads.
    if (document.readyState === "complete") setTimeout(send);
    else addEventListener("load", function () { setTimeout(send); });
  }

  // A clock that was set back, or a session of weeks, must not make the server refuse its end.
  function end(present) {
    var start = present.session.started_at, last = Math.min(present.last, Date.now(), start + LONGEST_SESSION);
    enqueue(Object.assign({}, present.session, { ended_at: Math.max(last, start) }));
  }

  // As many of those that wait as fit into one request. What failed goes alone, so that it takes nothing else with it.
  function batch(together) {
    var items = [], size = 100;
    waiting().some(function (item) {
      size += bytes(item.text) + 1;
      var full = size > MOST_BYTES || (!together && item.failures > 0);
      if (items.length && full) return true;
      items.push(item);
      return !together && item.failures > 0;
    });
    var sessions = items.map(function (item) {
      save(item.name, { session: item.session, tried: true });
      return item.text;
    });
    return { items: items, text: '{"app_id":' + JSON.stringify(app) + ',"sessions":[' + sessions.join() + "]}" };
  }

  // The server counts a session once, however often it is sent: what is not known to have arrived is sent again.
  var sending = false, pause = PAUSE, timer;
  var send = guarded(function () {
    if (sending || !waiting().length) return;
    var one = batch(false), isSmall = bytes(one.text) <= MOST_BYTES;
    sending = true;
    clearTimeout(timer);
    var settle = once(function (arrived) {
      sending = false;
      clearTimeout(timer);
      one.items.forEach(arrived ? forget : blame);
      if (arrived) {
        pause = PAUSE;
        return send();
      }
      timer = setTimeout(send, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    });
    timer = setTimeout(settle, PATIENCE);
    new Promise(function (resolve) {
      var request = { method: "POST", body: one.text, credentials: "omit", keepalive: isSmall && pause === PAUSE };
      resolve(fetch(url(), request));
    }).then(function (answer) {
      return answer.json().then(function (said) {
        // What is wrong stays wrong; what can't be taken now is sent later.
        var isFinal = answer.status === 201 || (answer.status === 400 && said.message);
        if (isFinal) complain(said, answer.status);
        settle(isFinal);
      });
    }).catch(function () {
      settle(false);
    });
  });

  function forget(item) {
    delivered[item.name] = item.text;
    if (JSON.stringify(load(item.name).session) === item.text) remove(item.name);
  }

  function blame(item) {
    failures[item.name] = item.failures + 1;
  }

  var complain = guarded(function (said, status) {
    var wrong = object((said.errors || [])[0]).type || (status === 400 && said.message);
    if (wrong) say("error", wrong);
  });

  var told = Object.create(null);
  function say(level, text) {
    if (!told[text]) console[level]("sessionmeter: " + text);
    told[text] = true;
  }

  function url() {
    return new URL("sessions/collect", script.src).href;
  }

  var left;
  function leave() {
    starting();
    var present = current();
    if (!present.session || left === present.last) return;
    left = present.last;
    end(present);
    var accepted = false;
    try {
      // A text, not a Blob: its bytes are handed over at once, not when this page is gone.
      accepted = navigator.sendBeacon(url(), batch(true).text);
    } catch (_) {}
    if (!accepted) send();
  }

  function changed() {
    if (hidden()) return leave();
    active();
    send();
  }

  function set(attributes) {
    var who = load("who"), kept = object(who.attributes);
    Object.keys(object(attributes)).forEach(function (given) {
      var value = attributes[given], name = whole(given);
      if (typeof value === "string") value = whole(value);
      var isText = typeof value === "string" && bytes(value) <= 256, hasRoom = name in kept || Object.keys(kept).length < 32;
      var isValue = isText || typeof value === "boolean" || Number.isFinite(value);
      if (value === null) delete kept[name];
      else if (isValue && hasRoom && fits(name, 64)) kept[name] = value;
      else say("warn", name + " is not kept");
    });
    who.attributes = kept;
    save("who", who);
    describeUnsent();
  }

  function identify(user) {
    var id = user === null || user === undefined ? "" : whole(String(user)), who = load("who");
    if (bytes(id) > 256) return say("warn", "a user id has at most 256 bytes");
    who.user = id || undefined;
    save("who", who);
    describeUnsent();
  }

  // Where the script comes later than the page's calls, those wait in an array: [["identify", "u-42"]]. Anything else
  // that has this name, such as an element with this id, is none of ours.
  function publish(api) {
    var early = window.sessionmeter;
    api.push = function () {
      Array.from(arguments).forEach(guarded(function (call) {
        if (call[0] === "set" || call[0] === "identify") api[call[0]](call[1]);
      }));
    };
    try {
      Object.defineProperty(window, "sessionmeter", { value: api, configurable: true, writable: true });
    } catch (_) {}
    if (Array.isArray(early)) api.push.apply(null, early);
  }

  // Nothing may stay in the browser: what an earlier page kept is sent from here, and goes.
  function keepNothing() {
    names().forEach(function (name) {
      var value = load(name);
      remove(name);
      if (name.indexOf("queue.") === 0) memory[name] = { text: JSON.stringify(value), unsaved: true };
    });
    shared = undefined;
  }

  guarded(function () {
    running = window[REGISTRY] = window[REGISTRY] || Object.create(null);
    script = element();
    app = script && (option("app") || "").trim();
    if (!app) return say("error", "the script needs data-app, or ?app= in its address");
    if (running[app]) return;
    running[app] = true;

    var isRefused = has("respect-dnt") && (navigator.doNotTrack === "1" || navigator.globalPrivacyControl);
    if (isRefused || (navigator.webdriver && !has("count-automated"))) {
      return publish({ set: function () {}, identify: function () {} });
    }
    prefix = "sessionmeter." + app + ".";
    timeout = 1000 * (option("timeout") > 0 ? option("timeout") : 1800);
    try {
      shared = localStorage;
    } catch (_) {}
    if (option("storage") === "none") keepNothing();
    publish({ set: guarded(set), identify: guarded(identify) });
    ["pointerdown", "pointermove", "keydown", "scroll", "wheel", "focus"].forEach(function (event) {
      addEventListener(event, guarded(active), { capture: true, passive: true });
    });
    addEventListener("visibilitychange", guarded(changed));
    addEventListener("pagehide", guarded(leave));
    addEventListener("pageshow", guarded(active));
    addEventListener("online", send);
    active();
    send();
  })();
})();
