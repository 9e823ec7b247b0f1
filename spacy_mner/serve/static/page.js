"use strict";
(() => {
  const settings = JSON.parse(document.body.dataset.settings);
  const $ = (id) => document.getElementById(id);
  // Tokens whose attention is shown: a table of more is of no use, and slow.
  const MAX_TOKENS = 400;
  const MAX_REGIONS = 4;
  const SVG = "http://www.w3.org/2000/svg";
  // Controls reorder the text after them or cannot be seen; they are shown as code points.
  const CONTROLS =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]/gu;
  const INVISIBLE = /[^\p{L}\p{N}\p{P}\p{S}]/gu;

  const codePoint = (character) =>
    `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  const escapeControls = (text) => text.replace(CONTROLS, codePoint);
  const visibleToken = (text) => {
    const shown = escapeControls(text).replaceAll("\n", "↵").replaceAll("\t", "⇥");
    return /[\p{L}\p{N}\p{P}\p{S}]/u.test(shown) ? shown : shown.replace(INVISIBLE, codePoint);
  };
  const percent = (share, digits = 0) => (100 * share).toFixed(digits);
  const count = (number) => number.toLocaleString("en");

  /** Create an element: its properties, and its children, which are elements or texts. */
  const make = (name, properties = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  };
  const draw = (name, attributes, ...children) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // The post.

  const text = $("text");
  let image = null;
  let imageUrl = "";

  const report = (problem) => {
    $("problem").textContent = problem;
    // Not beside entities of another post.
    if (problem) $("result").hidden = true;
  };

  const countCharacters = () => {
    const n = [...text.value].length;
    const isOver = n > settings.maxLength;
    $("count").textContent = n ? `${count(n)} of ${count(settings.maxLength)} characters` : "";
    $("count").classList.toggle("over", isOver);
    text.setAttribute("aria-invalid", isOver);
    return isOver;
  };

  const fileSize = (n) => (n < 1e6 ? `${Math.ceil(n / 1000)} kB` : `${(n / 1e6).toFixed(1)} MB`);

  const setImage = (file) => {
    report("");
    if (file && file.size > settings.maxImage) {
      report(`The image has ${count(file.size)} bytes; the limit is ${count(settings.maxImage)}.`);
      return;
    }
    if (imageUrl) URL.revokeObjectURL(imageUrl);
    image = file;
    imageUrl = file ? URL.createObjectURL(file) : "";
    $("choose").hidden = Boolean(file);
    $("preview").hidden = !file;
    if (!file) return;
    $("no-thumbnail").hidden = true;
    $("thumbnail").hidden = false;
    $("thumbnail").src = imageUrl;
    $("file-name").textContent = escapeControls(file.name);
    $("file-size").textContent = fileSize(file.size);
  };

  const imageOf = (transfer) =>
    [...transfer.files].find((file) => file.type.startsWith("image/")) ?? transfer.files[0];

  text.addEventListener("input", countCharacters);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
  });
  $("example").addEventListener("click", (event) => {
    text.value = event.target.dataset.text;
    countCharacters();
    text.focus();
  });
  for (const input of [$("file"), $("camera")]) {
    input.addEventListener("change", () => {
      if (input.files.length) setImage(input.files[0]);
      // The same file can be chosen again after it was removed.
      input.value = "";
      if (image) $("remove").focus();
    });
  }
  $("thumbnail").addEventListener("error", () => {
    $("thumbnail").hidden = true;
    $("no-thumbnail").hidden = false;
  });
  $("remove").addEventListener("click", () => {
    setImage(null);
    $("file").focus();
  });
  document.addEventListener("paste", (event) => {
    // Office programs copy text with an image of it.
    if (!event.clipboardData.files.length || event.clipboardData.getData("text/plain")) return;
    event.preventDefault();
    setImage(imageOf(event.clipboardData));
  });
  const isFileDrag = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!isFileDrag(event)) return;
    event.preventDefault();
    $("drop").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!isFileDrag(event)) return;
    event.preventDefault();
    $("drop").classList.remove("over");
    setImage(imageOf(event.dataTransfer));
  });

  // The request.

  let request = null;

  const annotate = async (post, file, signal) => {
    const form = new FormData();
    const posts = file ? [{ text: post, image: "attachment:image" }, { text: post }] : [{ text: post }];
    form.append("posts", JSON.stringify(posts));
    form.append("attention", "true");
    if (file) form.append("image", file, "image");
    const response = await fetch("v1/annotate", { method: "POST", body: form, signal });
    // An error of a proxy is a page of HTML.
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.detail ?? `The server answered ${response.status}.`);
    const failed = answer.posts.find((one) => one.error);
    if (failed) throw new Error(failed.error);
    return answer.posts;
  };

  $("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    report("");
    // A lone surrogate cannot be sent.
    const post = text.value.toWellFormed?.() ?? text.value;
    if (!post.trim() || countCharacters()) {
      report(post.trim() ? `The post is over ${count(settings.maxLength)} characters.` : "Type a post first.");
      text.focus();
      return;
    }
    request?.abort();
    const current = (request = new AbortController());
    $("submit").ariaDisabled = "true";
    $("status").textContent = "Finding entities…";
    const file = image;
    try {
      const annotations = await annotate(post, file, current.signal);
      await show(post, file, annotations);
      $("status").textContent = summary(annotations);
    } catch (error) {
      if (current.signal.aborted) return;
      $("status").textContent = "";
      const isUnreachable = error instanceof TypeError;
      report(isUnreachable ? "The server cannot be reached." : escapeControls(error.message));
    } finally {
      if (request === current) $("submit").ariaDisabled = "false";
    }
  });

  // The result.

  const keyOf = (entity) => `${entity.start} ${entity.end} ${entity.label}`;
  const keys = (annotation) => new Set(annotation?.entities.map(keyOf));

  const entitiesIn = (n) => (n === 1 ? "1 entity" : `${count(n)} entities`);

  const summary = ([first, second]) => {
    const n = first.entities.length;
    if (!second) return n ? entitiesIn(n) : "No entity";
    if (!/^used/.test(first.image_status ?? "")) return `${n ? entitiesIn(n) : "No entity"}; the image was not used`;
    const [here, there] = [keys(first), keys(second)];
    const changed = [...here].filter((key) => !there.has(key)).length
      + [...there].filter((key) => !here.has(key)).length;
    if (changed) return "The image changes the entities";
    const scores = new Map(second.entities.map((one) => [keyOf(one), one.score]));
    const largest = Math.max(0, ...first.entities.map((one) => Math.abs(one.score - scores.get(keyOf(one)))));
    const difference = largest >= 0.005 ? `; a score changes by ${largest.toFixed(2)}` : "";
    return `The same entities with and without the image${n ? difference : ""}`;
  };

  const colorOf = (label) => `c${settings.colors[label] ?? 0}`;

  const mark = (points, entity, isOnly) =>
    make("mark", { className: `${colorOf(entity.label)}${isOnly ? " only" : ""}` },
      isOnly ? make("span", { className: "aside" }, "only here: ") : null,
      escapeControls(points.slice(entity.start, entity.end).join("")), "\u00a0",
      make("b", { dir: "ltr" }, entity.label,
        ...(entity.score === null ? [] : ["\u00a0", make("i", {}, entity.score.toFixed(2))])));

  const annotatedRow = (name, points, annotation, other) => {
    const segments = [];
    const known = keys(other);
    let position = 0;
    for (const entity of annotation.entities) {
      segments.push(escapeControls(points.slice(position, entity.start).join("")));
      segments.push(mark(points, entity, other && !known.has(keyOf(entity))));
      position = entity.end;
    }
    segments.push(escapeControls(points.slice(position).join("")));
    const isEmpty = !annotation.entities.length;
    // A long post scrolls within its box, also from the keyboard.
    const box = points.length > 1000 ? { tabIndex: 0, role: "region", "aria-label": name } : {};
    return make("div", { className: "annotated" },
      make("dt", {}, name, isEmpty ? make("span", { className: "none" }, "no entity") : null),
      make("dd", { dir: "auto", ...box }, ...segments));
  };

  const level = (share) => `w${Math.round(10 * share)}`;

  const tokenName = (points, token) => visibleToken(points.slice(token.start, token.end).join(""));

  const tooMany = (attention) =>
    attention.length > MAX_TOKENS
      ? make("p", { className: "help more" }, `The first ${count(MAX_TOKENS)} of ${count(attention.length)} tokens.`)
      : null;

  const modalityTable = (points, attention) => {
    const shown = attention.slice(0, MAX_TOKENS);
    const names = Object.keys(shown[0].weights);
    const header = shown.map((token) =>
      make("th", { scope: "col" }, make("bdi", {}, tokenName(points, token))));
    const rows = names.map((name) => make("tr", {}, make("th", { scope: "row" }, name),
      ...shown.map((token) => make("td", { className: level(token.weights[name]) }, percent(token.weights[name])))));
    return [
      make("h3", {}, "What each token attends to"),
      make("div", { className: "attention", role: "region", tabIndex: 0, "aria-label": "Attention of each token to the modalities" },
        make("table", {}, make("caption", {}, "Weight of each modality, per cent"),
          make("thead", {}, make("tr", {}, make("td"), ...header)), make("tbody", {}, ...rows))),
      tooMany(attention),
    ];
  };

  /** The cells of a grid over the image: the brighter, the more attention. */
  const overlay = (weights, grid) => {
    const shares = weights.slice(grid.start, grid.start + grid.side ** 2);
    const largest = Math.max(...shares);
    const paths = new Map();
    shares.forEach((share, i) => {
      const cell = `M${i % grid.side} ${Math.floor(i / grid.side)}h1v1h-1z`;
      const step = largest ? Math.round((10 * share) / largest) : 0;
      const add = (name) => paths.set(name, (paths.get(name) ?? "") + cell);
      if (step) add(`w${step}`);
      if (share === largest && largest) add("largest");
    });
    const ordered = [...paths].sort(([one], [other]) => (one === "largest") - (other === "largest"));
    const whole = { width: "100%", height: "100%" };
    return draw("svg", { class: "overlay selected", viewBox: `0 0 ${grid.side} ${grid.side}`, preserveAspectRatio: "none" },
      draw("rect", { class: "gray", ...whole }), draw("rect", { class: "veil", ...whole }),
      ...ordered.map(([name, d]) => draw("path", { class: name, d })));
  };

  const topRegions = (names, weights) =>
    names.map((name, i) => [name, weights[i]]).sort((one, other) => other[1] - one[1]).slice(0, MAX_REGIONS);

  const regionChooser = (points, annotation, stage) => {
    const details = make("div", { className: "regions", "aria-live": "polite" });
    const choose = (token) => {
      stage?.querySelectorAll(".overlay").forEach((one) => one.remove());
      const lists = [];
      for (const [name, weights] of Object.entries(token.regions ?? {})) {
        const { names, grids } = annotation.regions[name];
        for (const grid of stage ? grids : []) stage.append(overlay(weights, grid));
        const top = topRegions(names, weights);
        if (top.length) {
          lists.push(make("p", {}, make("i", {}, name), " ", ...top.flatMap(([region, share], i) =>
            [i ? "; " : "", make("bdi", {}, escapeControls(region)), ":\u00a0", make("b", {}, percent(share, 1))]),
            ` (uniform: ${percent(1 / weights.length, 1)})`));
        }
      }
      details.replaceChildren(...lists);
    };
    const option = (name, token) => {
      const input = make("input", { type: "radio", name: "token", checked: !token.regions });
      input.addEventListener("change", () => choose(token));
      return make("label", {}, input, make("span", {}, name));
    };
    const labels = annotation.attention.slice(0, MAX_TOKENS).map((token) =>
      option(make("bdi", {}, tokenName(points, token)), token));
    return [
      make("h3", {}, "What each token attends to"),
      make("fieldset", { className: "tokens" },
        make("legend", { className: "help" }, stage ? "Choose a token to see its attention on the image, per cent" : "Choose a token, per cent"),
        option(make("i", {}, "none"), {}), ...labels),
      details, tooMany(annotation.attention),
    ];
  };

  const objectsTable = (objects) =>
    make("table", { className: "tags" }, make("caption", {}, "Found in the image, per cent"),
      make("tbody", {}, ...objects.map((one) => make("tr", {},
        make("th", { scope: "row" }, make("bdi", {}, escapeControls(one.label))),
        make("td", {}, one.score === null ? "" : percent(one.score))))));

  const boxes = (objects) => {
    const rects = objects.filter((one) => one.box).flatMap(({ label, box: [x0, y0, x1, y1] }) => {
      const place = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
      const title = draw("title", {});
      title.textContent = escapeControls(label);
      return [draw("rect", { class: "box-edge", ...place }), draw("rect", { class: "box", ...place }, title)];
    });
    return rects.length ? draw("svg", { class: "boxes", viewBox: "0 0 1 1", preserveAspectRatio: "none" }, ...rects) : null;
  };

  /** The image with what was found in it; its stage is null if the browser cannot show it. */
  const figureOf = async (file, annotation) => {
    const shown = make("img", { alt: "Image of the post", src: URL.createObjectURL(file) });
    const isShown = await shown.decode().then(() => true, () => false);
    URL.revokeObjectURL(shown.src);
    const objects = annotation.image_objects ?? [];
    const stage = isShown ? make("div", { className: "stage" }, shown) : null;
    const outlines = boxes(objects);
    if (stage && outlines) stage.append(outlines);
    const status = annotation.image_status ?? "";
    const caption = annotation.image_text;
    return [stage, make("figure", {}, stage,
      make("figcaption", {}, make("p", {}, `Image ${escapeControls(status)}.`),
        objects.length ? objectsTable(objects) : null,
        caption ? make("p", {}, "Text found in the image") : null,
        caption ? make("p", { className: "image-text", dir: "auto" }, escapeControls(caption)) : null))];
  };

  const show = async (post, file, annotations) => {
    const points = [...post];
    const [first, second] = annotations;
    const [stage, figure] = file ? await figureOf(file, first) : [null, null];
    const rows = second
      ? [annotatedRow("With the image", points, first, second), annotatedRow("Without it", points, second, first)]
      : [annotatedRow("Entities", points, first)];
    const attention = first.attention ?? [];
    const parts = [];
    if (attention[0]?.weights) parts.push(...modalityTable(points, attention));
    const hasRegions = Object.values(attention[0]?.regions ?? {}).some((weights) => weights.length);
    if (hasRegions && first.regions) parts.push(...regionChooser(points, first, stage));
    $("result").replaceChildren(
      make("h2", {}, summary(annotations)),
      make("div", { className: `findings${figure ? " with-image" : ""}` },
        make("dl", { className: "annotations" }, ...rows), figure,
        make("div", { className: "attends" }, ...parts.filter(Boolean))));
    $("result").hidden = false;
    $("result").focus({ preventScroll: true });
    $("result").scrollIntoView({ block: "nearest" });
  };

  countCharacters();
})();
