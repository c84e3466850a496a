(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");

  function stored(value) {
    try {
      if (value) localStorage.setItem("understudy-theme", value);
      return localStorage.getItem("understudy-theme");
    } catch (error) {
      return null; // file:// may refuse storage: the choice then lasts as long as the page
    }
  }
  if (!root.dataset.theme && stored()) root.dataset.theme = stored();
  document.getElementById("theme").addEventListener("click", function () {
    var dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    stored(root.dataset.theme);
  });

  function compare(left, right, numeric, sign) {
    if (left === "" || right === "") return (left === "") - (right === ""); // unknown stays last
    return sign * (numeric ? Number(left) - Number(right) : left.localeCompare(right));
  }
  function keyOf(line, at) {
    return (line.cells[at] && line.cells[at].dataset.key) || ""; // a spanning cell leaves later ones out
  }
  document.querySelectorAll("table.sortable thead button").forEach(function (button) {
    button.addEventListener("click", function () {
      var head = button.parentNode;
      var table = head.closest("table");
      var at = Array.prototype.indexOf.call(head.parentNode.children, head);
      var numeric = head.classList.contains("num");
      var was = head.getAttribute("aria-sort");
      var down = was ? was === "ascending" : numeric;
      var lines = Array.prototype.slice.call(table.tBodies[0].rows);
      lines.sort(function (one, two) {
        return compare(keyOf(one, at), keyOf(two, at), numeric, down ? -1 : 1);
      });
      var most = lines.length - table.querySelectorAll("tr.more").length;
      lines.forEach(function (line, number) {
        line.classList.toggle("more", number >= most);
        table.tBodies[0].appendChild(line);
      });
      head.parentNode.querySelectorAll("th").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });

  document.querySelectorAll(".unfold").forEach(function (button) {
    button.addEventListener("click", function () { var box = button.closest(".tablebox");
      box.classList.remove("folded");
      box.dataset.open = "yes"; });
  });

  document.querySelectorAll(".searchable").forEach(function (box) {
    var field = box.querySelector(".filter");
    if (!field) return;
    var items = Array.prototype.slice.call(box.querySelectorAll(".entry, tbody tr"));
    var folded = box.querySelector(".tablebox.folded");
    var nothing = box.querySelector(".nothing");
    field.addEventListener("input", function () {
      var wanted = field.value.trim().toLocaleLowerCase();
      var hits = 0;
      if (folded) folded.classList.toggle("folded", !wanted && !folded.dataset.open);
      items.forEach(function (item) {
        var hit = !wanted || item.textContent.toLocaleLowerCase().indexOf(wanted) >= 0;
        item.hidden = !hit;
        hits += hit ? 1 : 0;
      });
      if (nothing) nothing.hidden = hits > 0;
    });
  });
})();
