(() => {
  "use strict";
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

  document.documentElement.dataset.live = "";
})();
