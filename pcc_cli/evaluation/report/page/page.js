// What the other scripts share: the data of the page, and small helpers.
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const COLOURS = 7;

function colourOf(codec) {
  return `var(--c${DATA.codecs.indexOf(codec) % COLOURS})`;
}

function number(value, digits = 3) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

function options(select, values, labels = values) {
  select.replaceChildren(
    ...values.map((value, place) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = labels[place];
      return option;
    }),
  );
}

// Light or dark: the system's choice until the button is pressed.
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  root.style.colorScheme = root.dataset.theme;
});
