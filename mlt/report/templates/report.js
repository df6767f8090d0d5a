"use strict";
// Fills in the part about one class. Texts from the data are only ever set as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function percent(value, digits = 2) {
  return value === null ? "–" : (100 * value).toFixed(digits);
}

// One class ---------------------------------------------------------------------------------------

const chooseClass = document.getElementById("choose-class");
const chooseMethod = document.getElementById("choose-method");
const ALL = -1;

function curves(method, index) {
  return index === ALL ? method.all : method.classes[index];
}

function draw(name, path) {
  for (const line of document.querySelectorAll(`[data-curve="${name}"]`)) {
    line.setAttribute("d", path ?? "");
  }
  for (const dots of document.querySelectorAll(`[data-dots="${name}"]`)) {
    dots.setAttribute("d", (path ?? "").replace(/[ML]([^ML]+)/g, "M$1h0"));
  }
}

function facts(curve, index) {
  const parts = [];
  let title = "all classes in one ranking";
  if (index !== ALL) {
    const [name, group, train, test] = data.classes[index];
    title = name;
    parts.push(group, `${train} training and ${test} test images`);
  }
  const bounds = curve.interval?.length
    ? ` (corrected ${percent(curve.corrected)}, ${percent(curve.interval[0])} to ${percent(curve.interval[1])})`
    : "";
  parts.push(`AP ${percent(curve.ap)}${bounds}`);
  if (curve.auroc !== undefined) parts.push(`AUROC ${percent(curve.auroc)}`);
  parts.push(`calibration error ${percent(curve.ece)}`);
  if (curve.calEce !== undefined) parts.push(`calibrated ${percent(curve.calEce)}`);
  return [element("strong", title), ` · ${parts.join(" · ")}`];
}

function picture([row, probability, rank]) {
  const [id, labels, thumbnail] = data.images[row];
  const names = labels.map((label) => data.classes[label][0]);
  const item = element("li");
  if (thumbnail) {
    const image = element("img");
    image.src = `data:image/jpeg;base64,${thumbnail}`;
    image.alt = `image ${id}: ${names.join(", ") || "no label"}`;
    item.append(image);
  } else {
    item.append(element("div", "no picture", "blank"));
  }
  item.append(element("b", `${percent(probability, 1)} %`), ` place ${rank}`);
  item.append(element("span", names.join(", ") || "no label"), element("span", `image ${id}`));
  return item;
}

function gallery(title, entries, count) {
  const box = element("div");
  const more = count > entries.length ? ` (the ${entries.length} worst of ${count})` : "";
  box.append(element("h3", title + more));
  if (!entries.length) box.append(element("p", "None.", "none"));
  const list = element("ul", undefined, "mistakes");
  list.append(...entries.map(picture));
  box.append(list);
  return box;
}

function partners(entries) {
  const list = element("ul", undefined, "partners");
  for (const [label, count, share, together] of entries) {
    list.append(
      element(
        "li",
        `${data.classes[label][0]}: ${count} (${percent(share, 0)} % of them; ` +
          `${percent(together, 0)} % of the true images)`
      )
    );
  }
  return list;
}

function showClass() {
  const index = Number(chooseClass.value);
  const method = data.methods[chooseMethod ? Number(chooseMethod.value) : 0];
  const chosen = curves(method, index);
  const other = curves(data.methods[0], index);
  draw("pr-chosen", chosen.pr);
  draw("rel-chosen", chosen.rel);
  draw("cal-calibrated", chosen.cal);
  draw("pr-other", other.pr);
  draw("rel-other", other.rel);
  document.getElementById("facts").replaceChildren(...facts(chosen, index));
  const place = document.getElementById("mistakes");
  place.replaceChildren();
  if (index === ALL) return;
  const wrong = gallery("False alarms", chosen.alarms, chosen.counts[1]);
  if (chosen.partners.length) {
    wrong.append(element("h3", "They are images of"), partners(chosen.partners));
  }
  place.append(gallery("Missed", chosen.missed, chosen.counts[0]), wrong);
}

function option(value, text) {
  const made = element("option", text);
  made.value = value;
  return made;
}

function step(by) {
  const count = chooseClass.options.length;
  chooseClass.selectedIndex = (chooseClass.selectedIndex + by + count) % count;
  showClass();
}

chooseClass.append(option(ALL, "all classes together"));
for (const index of data.order) {
  const [name, group] = data.classes[index];
  chooseClass.append(option(index, `${name} (${group})`));
}
chooseClass.selectedIndex = 1;
chooseClass.addEventListener("change", showClass);
document.getElementById("previous").addEventListener("click", () => step(-1));
document.getElementById("next").addEventListener("click", () => step(1));
if (chooseMethod) {
  data.methods.forEach((method, i) => chooseMethod.append(option(i, method.name)));
  chooseMethod.selectedIndex = Math.min(1, data.methods.length - 1);
  chooseMethod.addEventListener("change", showClass);
}
for (const link of document.querySelectorAll("[data-class]")) {
  link.addEventListener("click", () => {
    chooseClass.value = link.dataset.class;
    showClass();
  });
}
showClass();
