"""The figures of ./dev bench as tables and plots."""

import plot
import scenarios

PROGRAMS = ("relay", "midge", "mosquitto")


def _number(value, form="{:.2f}"):
    return "" if value is None else form.format(value)


def one_line(measured):
    parts = []
    for program, figures in measured.items():
        if figures["errors"]:
            parts.append(f"{program}: {'; '.join(figures['errors'])}")
        elif "cpu_us" in figures:
            parts.append(f"{program} {figures['cpu_us']:.2f} µs")
        elif "idle_bytes" in figures:
            parts.append(f"{program} {figures['idle_bytes']:.0f} B")
    return " | ".join(parts)


def _ratio(measured, name):
    """Mosquitto's figure divided by Midge's."""
    ours, theirs = (measured.get(program, {}).get(name) for program in ("midge", "mosquitto"))
    return theirs / ours if ours and theirs else None


def _verdict(ratio, target):
    if not target or ratio is None:
        return ""
    return f"≥ {target:g}: {'yes' if ratio >= target else 'no'}"


def _table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def _speed(results):
    rows = []
    for scenario in scenarios.SPEED:
        measured = results.get(scenario.name)
        if measured:
            get = lambda program, name: measured.get(program, {}).get(name)
            ratio = _ratio(measured, "cpu_us")
            row = [scenario.title]
            row += [_number(get(program, "cpu_us")) for program in PROGRAMS]
            row += [_number(ratio, "{:.1f}"), _verdict(ratio, scenario.target)]
            row += [_number(get(program, "rate"), "{:,.0f}") for program in PROGRAMS]
            row += [_number(get(program, "system_calls"), "{:.3f}") for program in PROGRAMS]
            rows.append(row)
    heads = ["", "relay", "Midge", "Mosquitto", "ratio", "target", "relay/s", "Midge/s", "Mosquitto/s"]
    heads += ["calls: relay", "Midge", "Mosquitto"]
    return ["CPU µs for a delivery, deliveries in a second, system calls for a delivery:", ""] + _table(heads, rows)


def _latency(results):
    rows = []
    for scenario in scenarios.LATENCY:
        for program, figures in results.get(scenario.name, {}).items():
            if "p50_ns" in figures:
                rows.append([scenario.title, program, f"{figures['p50_ns'] / 1e3:.0f}", f"{figures['p99_ns'] / 1e3:.0f}"])
    return ["Latency in µs:", ""] + _table(["", "", "p50", "p99"], rows)


def _memory(results):
    rows = []
    for scenario in scenarios.MEMORY:
        for program, figures in results.get(scenario.name, {}).items():
            if "idle_bytes" in figures:
                text = f"{figures['idle_bytes']:.0f} B each, {figures['idle_rss'] / 1e6:.2f} MB in all; "
                text += f"{scenario.options['idle'] / figures['idle_wall_ns'] * 1e6:.1f} k connects a second, "
                text += f"{figures['idle_cpu_ns'] / scenario.options['idle'] / 1e3:.1f} µs of CPU each"
                rows.append([scenario.title, program, text])
            elif "rss_max" in figures:
                text = f"{figures['lost']:.0f} of {figures['lost'] + figures['deliveries']:.0f} lost; "
                text += f"{figures['rss'] / 1e6:.1f} MB before, {figures['rss_max'] / 1e6:.1f} MB at most"
                rows.append([scenario.title, program, text])
    for program, figures in results.get("match-100k", {}).items():
        if "subscription_bytes" in figures:
            rows.append(["100,000 subscriptions of 100 clients", program, f"{figures['subscription_bytes']:.0f} B each"])
    return ["Memory:", ""] + _table(["", "", ""], rows)


def _curve(results, group, figure="cpu_us"):
    series = {}
    for scenario in scenarios.CURVES:
        if scenario.group == group:
            for program, figures in results.get(scenario.name, {}).items():
                if figure in figures:
                    series.setdefault(program, []).append((int(scenario.title), figures[figure]))
    return series


def _curves(results, folder):
    lines = []
    for group, title in scenarios.CURVE_TITLES.items():
        series = _curve(results, group)
        if not series:
            continue
        picture = plot.line_chart(title, title.split(": ")[1], "CPU µs for a delivery", series)
        (folder / f"{group}.svg").write_text(picture, encoding="utf-8")
        xs = sorted({x for line in series.values() for x, _ in line})
        rows = [[program] + [_number(dict(line).get(x)) for x in xs] for program, line in series.items()]
        lines += [f"{title} ({group}.svg), CPU µs for a delivery:", ""] + _table([""] + [f"{x:,}" for x in xs], rows)
    return lines


def write(folder, results):
    rows = []
    for scenario in scenarios.SPEED:
        measured = results.get(scenario.name, {})
        bars = {program: measured.get(program, {}).get("cpu_us", 0) for program in PROGRAMS if program in measured}
        if bars:
            rows.append((scenario.title, bars))
    picture = plot.bar_chart("CPU for a delivery", "µs", rows)
    if picture:
        (folder / "speed.svg").write_text(picture, encoding="utf-8")
    lines = _speed(results) + _latency(results) + _memory(results) + _curves(results, folder)
    (folder / "report.md").write_text("\n".join(lines), encoding="utf-8")
