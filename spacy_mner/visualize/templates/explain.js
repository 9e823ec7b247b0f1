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

  filters.disabled = false;
  filters.addEventListener("change", (event) => {
    history.replaceState(null, "", `#${event.target.value}`);
    filter(event.target.value);
  });
  addEventListener("hashchange", filterByFragment);
  filterByFragment();
})();
