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

  filters.disabled = false;
  filters.addEventListener("change", (event) => {
    history.replaceState(null, "", `#${event.target.value}`);
    show(event.target.value);
  });
  addEventListener("hashchange", choose);
  choose();
})();
