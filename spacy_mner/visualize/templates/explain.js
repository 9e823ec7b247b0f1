(() => {
  "use strict";
  const root = document.documentElement;
  const filters = document.getElementById("filters");
  const posts = [...document.querySelectorAll(".post")];

  const filter = (verdict) => {
    root.dataset.show = verdict;
    const n = posts.filter((post) => verdict === "all" || post.dataset.verdict === verdict).length;
    document.getElementById("none").hidden = n > 0;
    document.getElementById("shown").textContent = `${n} of ${posts.length} posts shown`;
  };

  // The filter is in the URL fragment, so that a filtered page can be linked to.
  const filterByFragment = () => {
    const input = [...filters.elements].find((one) => `#${one.value}` === location.hash);
    if (input) input.checked = true;
    filter(filters.querySelector(":checked").value);
  };

  // Highlights an entity of a post, its list of regions and its overlays; "" for none.
  const highlight = (post, entity) => {
    for (const element of post.querySelectorAll("[data-entity]")) {
      element.classList.toggle("selected", element.dataset.entity === entity);
    }
  };

  const selection = new Map();
  const toggle = (link) => {
    const post = link.closest(".post");
    const entity = selection.get(post) === link.dataset.entity ? "" : link.dataset.entity;
    selection.set(post, entity);
    for (const other of post.querySelectorAll(".entity")) {
      other.ariaPressed = other.dataset.entity === entity;
    }
    highlight(post, entity);
    post.querySelector(".overlay.selected")?.parentElement.scrollIntoView({ block: "nearest" });
  };

  for (const link of document.querySelectorAll(".entity")) {
    link.role = "button";
    link.ariaPressed = false;
  }
  const entityLink = (event) => event.target.closest(".entity");
  const onActivate = (event) => {
    if (!entityLink(event) || (event.type === "keydown" && event.key !== " ")) return;
    event.preventDefault();
    toggle(entityLink(event));
  };
  document.addEventListener("click", onActivate);
  document.addEventListener("keydown", onActivate);
  // Hovering previews with a mouse only: a touch that scrolls across an entity selects nothing.
  document.addEventListener("pointerover", (event) => {
    const link = event.pointerType === "mouse" && entityLink(event);
    if (link) highlight(link.closest(".post"), link.dataset.entity);
  });
  document.addEventListener("pointerout", (event) => {
    const post = event.pointerType === "mouse" && entityLink(event)?.closest(".post");
    if (post) highlight(post, selection.get(post) ?? "");
  });

  root.dataset.live = "";
  filters.disabled = false;
  filters.addEventListener("change", (event) => {
    history.replaceState(null, "", `#${event.target.value}`);
    filter(event.target.value);
  });
  addEventListener("hashchange", filterByFragment);
  filterByFragment();
})();
