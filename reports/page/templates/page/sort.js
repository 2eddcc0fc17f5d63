// Only a help: a click on a column's head sorts its table, group by group; again, the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.querySelectorAll("th").forEach((head, index) => {
    const button = document.createElement("span"); // a real button would not be printed on a table's second page
    button.textContent = head.textContent;
    button.setAttribute("role", "button");
    button.tabIndex = 0;
    head.replaceChildren(button);
    let up = false;
    const sort = () => {
      up = !up;
      const text = (row) => row.cells[index].textContent;
      const value = (row) => parseFloat(text(row).replaceAll(",", ""));
      const order = (a, b) => value(a) - value(b) || text(a).localeCompare(text(b), "en", { numeric: true });
      for (const body of table.tBodies) {
        const rows = [...body.querySelectorAll("tr:not(.group)")];
        body.append(...rows.sort((a, b) => (up ? order(a, b) : order(b, a))));
      }
      table.tHead.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
    };
    button.addEventListener("click", sort);
    button.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort();
      }
    });
  });
}
