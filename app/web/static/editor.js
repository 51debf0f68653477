// Keeps what is typed while a session may end, moves the sliders, and says when the answer is lost.
// The page does all of its work without it.
"use strict";
(() => {
  const form = document.getElementById("policy");
  const name = "reconfirm:" + form.dataset.again;
  const own = ["csrf", "key", "again"];
  const pairs = () => [...new FormData(form)].filter(([each]) => !own.includes(each));
  const keep = () => sessionStorage.setItem(name, JSON.stringify(pairs()));

  const was = JSON.parse(sessionStorage.getItem(name) || "null");
  const seen = Number(was?.find(([each]) => each === "seen")?.[1]);
  const taken = Number(form.dataset.mine) > seen;
  if (!("begun" in form.dataset)) keep(); // what is shown was typed
  else if (taken || location.search === "?from=0") sessionStorage.removeItem(name);
  else if (was && !location.search && JSON.stringify(was) !== JSON.stringify(pairs())) {
    const back = document.createElement("form"); // the server shows it again, rows and all
    back.method = "post";
    back.action = form.dataset.again;
    for (const [each, text] of [...was, ["csrf", form.elements.csrf.value], ["again", "1"]]) {
      const one = document.createElement("input");
      one.type = "hidden";
      [one.name, one.value] = [each, text];
      back.append(one);
    }
    document.body.append(back);
    back.submit();
  }
  form.addEventListener("input", keep);

  for (const slider of form.querySelectorAll("input[type=range]")) {
    const text = form.elements[slider.dataset.of];
    const unit = form.elements[slider.dataset.of + ".unit"];
    slider.hidden = false;
    slider.addEventListener("input", () => { [text.value, unit.value] = [slider.value, "months"]; });
    form.addEventListener("input", () => {
      const months = unit.value === "years" ? text.value * 12 : text.value;
      if (months > 0 && ["months", "years"].includes(unit.value)) slider.value = months;
    });
  }

  const lost = document.getElementById("lost");
  for (const each of ["htmx:responseError", "htmx:sendError"]) {
    document.body.addEventListener(each, () => { lost.hidden = false; });
  }
  document.body.addEventListener("htmx:afterSettle", () => {
    lost.hidden = true;
    for (const each of document.querySelectorAll(".wrong[data-of]")) {
      const at = document.getElementById(each.dataset.of);
      if (at) at.setAttribute("aria-invalid", String(each.childElementCount > 0));
    }
  });
})();
