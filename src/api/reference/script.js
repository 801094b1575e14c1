(function () {
  "use strict";
  // The browser knows the address, whatever stands between it and the server.
  var folder = location.pathname.replace(/\/+$/, "").replace(/\/[^\/]*$/, "");
  if (/^http/.test(location.protocol) && /^[\w.~%\/-]*$/.test(folder)) {
    var address = location.origin + folder;
    document.querySelectorAll(".address").forEach(function (place) {
      place.textContent = address;
    });
    document.querySelector("a[href='openapi.json']").href = address + "/openapi.json";
  }

  function copy(block) {
    if (navigator.clipboard) return navigator.clipboard.writeText(block.textContent);
    // Over plain HTTP a browser copies only what is selected.
    return new Promise(function (done, failed) {
      getSelection().selectAllChildren(block);
      if (document.execCommand("copy")) done();
      else failed();
    });
  }

  var said = document.getElementById("said");
  document.querySelectorAll("pre.command").forEach(function (block) {
    var button = document.createElement("button"), timer;
    function say(word, sentence) {
      button.textContent = word;
      said.textContent = sentence;
      clearTimeout(timer);
      timer = setTimeout(function () {
        button.textContent = "Copy";
        said.textContent = "";
      }, 2000);
    }
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the command for " + block.dataset.of);
    button.addEventListener("click", function () {
      copy(block).then(function () {
        say("Copied", "Copied the command for " + block.dataset.of);
      }, function () {
        getSelection().selectAllChildren(block);
        say("Selected", "The command is selected; copy it with the keyboard");
      });
    });
    block.parentNode.appendChild(button);
  });
})();
