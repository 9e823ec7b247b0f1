(() => {
  "use strict";
  const root = document.documentElement;
  const filters = document.getElementById("filters");
  const posts = [...document.querySelectorAll(".post")];

  const show = (verdict) => {
    root.dataset.show = verdict;
    const n = posts.filter((post) => verdict === "all" || post.dataset.verdict === verdict).length;
    document.getElementById("none").hidden = n > 0;
    document.getElementById("shown").textContent = `${n} of ${posts.length} posts shown`;
  };

  // The address keeps the choice, so that it can be sent to somebody.
  const choose = () => {
    const wanted = [...filters.elements].find((one) => `#${one.value}` === location.hash);
    if (wanted) wanted.checked = true;
    show(filters.querySelector(":checked").value);
  };

  // What is chosen in a post shows: an entity, its line, and where it looks. "" for none.
  const look = (post, entity) => {
    for (const one of post.querySelectorAll("[data-entity]")) {
      one.classList.toggle("chosen", one.dataset.entity === entity);
    }
  };

  const choices = new Map();
  const toggle = (link) => {
    const post = link.closest(".post");
    const entity = choices.get(post) === link.dataset.entity ? "" : link.dataset.entity;
    choices.set(post, entity);
    for (const one of post.querySelectorAll(".asks")) {
      one.ariaPressed = one.dataset.entity === entity;
    }
    look(post, entity);
    post.querySelector(".look.chosen")?.parentElement.scrollIntoView({ block: "nearest" });
  };

  for (const link of document.querySelectorAll(".asks")) {
    link.role = "button";
    link.ariaPressed = false;
  }
  const asked = (event) => event.target.closest(".asks");
  document.addEventListener("click", (event) => {
    if (!asked(event)) return;
    event.preventDefault();
    toggle(asked(event));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !asked(event)) return;
    event.preventDefault();
    toggle(asked(event));
  });
  // A mouse need only point; a finger that scrolls past an entity chooses nothing.
  document.addEventListener("pointerover", (event) => {
    const link = event.pointerType === "mouse" && asked(event);
    if (link) look(link.closest(".post"), link.dataset.entity);
  });
  document.addEventListener("pointerout", (event) => {
    const post = event.pointerType === "mouse" && asked(event)?.closest(".post");
    if (post) look(post, choices.get(post) ?? "");
  });

  root.dataset.live = "";
  filters.disabled = false;
  filters.addEventListener("change", (event) => {
    history.replaceState(null, "", `#${event.target.value}`);
    show(event.target.value);
  });
  addEventListener("hashchange", choose);
  choose();
})();
