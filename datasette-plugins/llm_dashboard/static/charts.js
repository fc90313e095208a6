// Stacked bars over time with uPlot. The numbers come with the page; the legend shows the bar under the pointer.
"use strict";
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const HEIGHT = 230;

  const usd = (value) => {
    if (value === 0) return "$0";
    if (value >= 10000) return `$${(value / 1000).toFixed(0)}k`;
    if (value >= 100) return `$${value.toFixed(0)}`;
    if (value >= 0.1) return `$${value.toFixed(2)}`;
    return `$${value.toFixed(Math.min(9, 1 - Math.floor(Math.log10(value)))).replace(/0+$/, "")}`;
  };
  const count = (value) => {
    if (value >= 1e6) return `${+(value / 1e6).toFixed(1)}M`;
    if (value >= 1e4) return `${+(value / 1e3).toFixed(1)}k`;
    return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  };
  const when = (time, interval, long) => {
    const date = new Date(time * 1000);
    if (interval === "hour") {
      const hour = `${String(date.getUTCHours()).padStart(2, "0")}:00`;
      return long ? `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" })} ${hour}` : hour;
    }
    return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  };

  // From the last series to the first, so that the largest lies at the bottom and is drawn last.
  const stack = (series) => {
    const totals = new Array(series[0]?.values.length ?? 0).fill(0);
    return series.map((one) => one.values.map((value, n) => (totals[n] += value)));
  };

  const legend = (holder, data, index) => {
    holder.replaceChildren();
    const format = data.unit === "usd" ? usd : count;
    if (index !== null) {
      const label = document.createElement("span");
      label.className = "when";
      label.textContent = when(data.times[index], data.interval, true);
      holder.append(label);
    }
    data.series.forEach((one, n) => {
      const item = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.className = `swatch s${Math.min(n, 6)}`;
      item.append(swatch, one.name);
      if (index !== null) {
        const value = document.createElement("b");
        value.textContent = format(one.values[index]);
        item.append(value);
      }
      holder.append(item);
    });
  };

  // There is no half of a call.
  const WHOLE = Array.from({ length: 15 }, (_, n) => [1, 2, 5].map((step) => step * 10 ** n)).flat();

  const options = (data, width, onPoint) => {
    const format = data.unit === "usd" ? usd : count;
    const bars = uPlot.paths.bars({ size: [0.72, 48], radius: 0.06 });
    const axis = { stroke: css("--muted"), font: `12px ${css("--sans")}`, ticks: { show: false } };
    const step = data.times.length > 1 ? data.times[1] - data.times[0] : 86400;
    return {
      width, height: HEIGHT, padding: [8, 16, 0, 0],
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "UTC"),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: () => [data.times[0] - step * 0.6, data.times.at(-1) + step * 0.6] },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.06 : 1] },
      },
      axes: [
        { ...axis, size: 28, gap: 6, grid: { show: false }, space: 64, values: (_, splits) => splits.map((t) => when(t, data.interval)), splits: () => ticks(data, width) },
        { ...axis, incrs: data.unit === "usd" ? undefined : WHOLE, size: (_, labels) => 14 + 6.8 * Math.max(5, ...(labels ?? []).map((label) => label.length)), gap: 6, grid: { stroke: css("--line-soft"), width: 1 }, values: (_, splits) => splits.map(format) },
      ],
      series: [{}, ...data.series.map((_, n) => ({ fill: css(`--c${Math.min(n, 6)}`), width: 0, paths: bars, points: { show: false } }))],
      hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
    };
  };

  const ticks = (data, width) => {
    const every = Math.max(1, Math.ceil(data.times.length / Math.max(2, Math.floor((width - 70) / 64))));
    return data.times.filter((_, n) => (data.times.length - 1 - n) % every === 0);
  };

  const draw = (holder) => {
    const data = JSON.parse(document.querySelector(`script[data-for="${holder.dataset.chart}"]`).textContent);
    const note = document.createElement("div");
    note.className = "legend";
    const width = holder.clientWidth;
    holder.replaceChildren();
    holder.parentElement.querySelector(".legend")?.remove();
    if (!data.series.length) {
      const nothing = document.createElement("p");
      nothing.className = "nothing";
      nothing.textContent = data.unit === "usd" ? "No cost in this period." : "No calls in this period.";
      holder.append(nothing);
      return;
    }
    const tops = stack(data.series);
    const order = { ...data, series: data.series };
    const setup = options(order, width, (index) => legend(note, data, index));
    // The tallest sums first, so that each bar covers all but its own part of those before.
    setup.series = [setup.series[0], ...setup.series.slice(1).reverse()];
    new uPlot(setup, [data.times, ...tops.reverse()], holder);
    holder.after(note);
    legend(note, data, null);
  };

  const all = () => document.querySelectorAll(".chart[data-chart]").forEach(draw);
  all();
  addEventListener("themechange", all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  let pending;
  addEventListener("resize", () => {
    clearTimeout(pending);
    pending = setTimeout(all, 120);
  });
})();
