// The report's behaviours: tables that sort and show chosen columns, notes that open, videos that run together, light and dark.
"use strict";

function remember(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch { /* a page from disk may have no storage */ }
  return null;
}

function setUpTheme() {
  const root = document.documentElement;
  const saved = remember("d3talker-theme");
  if (saved === "light" || saved === "dark") root.dataset.theme = saved;
  document.querySelector("[data-theme-toggle]")?.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember("d3talker-theme", root.dataset.theme);
  });
}

function cellKey(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (text === "") return null;
  const value = Number(text);
  return Number.isNaN(value) ? text : value;
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null); // what is missing stays below
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sortBy(table, header, column) {
  const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [cellKey(row, column), row]);
  rows.sort(([a], [b]) => compare(a, b, sign));
  body.append(...rows.map(([, row]) => row));
}

function setUpSorting() {
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows].at(-1).cells;
    [...heads].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(table, header, column));
    });
  }
}

// The head cells of a table's values, and what lies under each; the labels come first.
function showColumns(table, shown) {
  const rows = [...table.tHead.rows, ...table.tBodies[0].rows];
  const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
  const first = heads.length - shown.length;
  for (const row of rows) {
    if (row.classList.contains("groups")) continue;
    shown.forEach((on, i) => { row.cells[first + i].hidden = !on; });
  }
  let at = 0;
  for (const group of table.tHead.querySelectorAll(".groups th")) {
    group.dataset.width ??= group.colSpan;
    const width = shown.slice(at, at += Number(group.dataset.width)).filter(Boolean).length;
    group.hidden = width === 0;
    if (width) group.colSpan = width;
  }
}

// All columns where they fit; else the last ones, which are not the paper's, start hidden.  A choice is remembered.
function setUpColumns(choice) {
  const table = document.querySelector(`table[data-table="${choice.dataset.columns}"]`);
  const boxes = [...choice.querySelectorAll("[data-column]")];
  const name = `d3talker-columns-${location.pathname}-${choice.dataset.columns}`;
  const folded = choice.closest("details:not([open])");
  if (folded) { folded.addEventListener("toggle", () => setUpColumns(choice), { once: true }); return; }
  const saved = remember(name)?.split(",");
  const apply = () => showColumns(table, boxes.map((box) => box.checked));
  if (saved) {
    for (const box of boxes) box.checked = saved.includes(box.dataset.column);
    apply();
  } else {
    const frame = table.parentElement;
    for (const box of [...boxes].reverse().slice(0, -1)) {
      if (!frame.clientWidth || frame.scrollWidth <= frame.clientWidth || matchMedia("(max-width: 40rem)").matches) break;
      box.checked = false;
      apply();
    }
  }
  choice.hidden = false;
  choice.addEventListener("change", () => {
    apply();
    remember(name, boxes.filter((box) => box.checked).map((box) => box.dataset.column).join(","));
  });
}

function openNote() {
  const note = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const folded = note && note.closest("details");
  if (folded) { folded.open = true; note.scrollIntoView({ block: "center" }); }
}

function setUpPlayer(player) {
  const videos = [...player.querySelectorAll("video")];
  const [lead] = videos;
  const play = player.querySelector("[data-play]");
  const seek = player.querySelector("[data-seek]");
  const time = player.querySelector("[data-time]");
  const fps = Number(player.dataset.fps);
  const moveTo = (seconds) => videos.forEach((video) => { video.currentTime = seconds; });
  const pause = () => { videos.forEach((video) => video.pause()); moveTo(lead.currentTime); };

  play.addEventListener("click", async () => {
    if (!lead.paused) return pause();
    if (lead.ended) moveTo(0);
    await Promise.allSettled(videos.map((video) => video.play()));
  });
  lead.addEventListener("play", () => { play.textContent = "Pause"; });
  for (const event of ["pause", "ended"]) lead.addEventListener(event, () => { play.textContent = "Play"; });
  lead.addEventListener("timeupdate", () => {
    if (lead.duration) seek.value = String(lead.currentTime / lead.duration);
    time.textContent = `${lead.currentTime.toFixed(2)} s`;
    if (lead.paused) return;
    for (const video of videos) {
      if (Math.abs(video.currentTime - lead.currentTime) > 2 / fps) video.currentTime = lead.currentTime;
    }
  });
  seek.addEventListener("input", () => { if (lead.duration) moveTo(Number(seek.value) * lead.duration); });
  for (const step of player.querySelectorAll("[data-step]")) {
    step.addEventListener("click", () => {
      videos.forEach((video) => video.pause());
      moveTo(Math.min(Math.max(lead.currentTime + Number(step.dataset.step) / fps, 0), lead.duration || 0));
    });
  }
  player.querySelector("[data-speed]").addEventListener("change", (event) => {
    videos.forEach((video) => { video.playbackRate = Number(event.target.value); });
  });
}

setUpTheme();
setUpSorting();
document.querySelectorAll("[data-columns]").forEach(setUpColumns);
openNote();
addEventListener("hashchange", openNote);
document.querySelectorAll("[data-player]").forEach(setUpPlayer);
