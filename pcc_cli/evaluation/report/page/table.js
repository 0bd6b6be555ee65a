// The table of all rows: sorted by a click on a column, filtered by words and by codec.
const table = byId("rows");
const filter = byId("filter");
const filterCodec = byId("filter-codec");
const sortBy = byId("sort");

function cellValue(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
}

function sortRows(column, direction) {
  const rows = [...table.tBodies[0].rows];
  const sign = direction === "ascending" ? 1 : -1;
  rows.sort((a, b) => {
    const [first, second] = [cellValue(a, column), cellValue(b, column)];
    if (typeof first === "number" && typeof second === "number") {
      if (Number.isNaN(first) || Number.isNaN(second)) return Number.isNaN(first) - Number.isNaN(second);
      return sign * (first < second ? -1 : first > second ? 1 : 0);
    }
    return sign * String(first).localeCompare(String(second), "en", { numeric: true });
  });
  table.tBodies[0].append(...rows);
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    if (place === column) head.setAttribute("aria-sort", direction);
    else head.removeAttribute("aria-sort");
  });
}

function filterRows() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    const right = !filterCodec.value || row.dataset.codec === filterCodec.value;
    row.hidden = !(right && words.every((word) => text.includes(word)));
    shown += !row.hidden;
  }
  byId("shown").textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
}

[...table.tHead.rows[0].cells].forEach((head, column) => {
  head.querySelector("button").addEventListener("click", () => {
    sortRows(column, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
  });
});
const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
options(sortBy, ["", ...heads.keys()], ["as measured", ...heads]);
sortBy.addEventListener("change", () => sortBy.value && sortRows(Number(sortBy.value), "ascending"));
options(filterCodec, ["", ...DATA.codecs], ["all codecs", ...DATA.codecs]);
filter.addEventListener("input", filterRows);
filterCodec.addEventListener("change", filterRows);
filterRows();
