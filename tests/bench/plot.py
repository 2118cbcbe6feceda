"""Line charts as SVG, both axes logarithmic."""

import html
import math

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 40, 50
COLOURS = {"relay": "#888888", "midge": "#0a7d4f", "mosquitto": "#b5462f"}


def _decades(values):
    low, high = math.log10(min(values)), math.log10(max(values))
    return math.floor(low), max(math.ceil(high), math.floor(low) + 1)


def _label(value):
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def line_chart(title, x_title, y_title, series):
    """`series`: name → [(x, y)]. A point at x = 0 stands at the left edge, where a logarithm has no place for it."""
    points = [(max(x, 1), y) for line in series.values() for x, y in line if y > 0]
    if not points:
        return None
    x_low, x_high = _decades([x for x, _ in points])
    y_low, y_high = _decades([y for _, y in points])

    def place(x, y):
        across = (math.log10(max(x, 1)) - x_low) / (x_high - x_low)
        up = (math.log10(y) - y_low) / (y_high - y_low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">{html.escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{html.escape(x_title)}</text>',
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{html.escape(y_title)}</text>',
    ]
    for power in range(x_low, x_high + 1):
        x, _ = place(10.0**power, 10.0**y_low)
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_label(10.0**power)}</text>')
    for power in range(y_low, y_high + 1):
        _, y = place(10.0**x_low, 10.0**power)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_label(10.0**power)}</text>')
    for name, line in series.items():
        places = [place(x, y) for x, y in sorted(line) if y > 0]
        if places:
            colour = COLOURS.get(name, "#000")
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
            out.append(f'<text x="{places[-1][0] + 8:.1f}" y="{places[-1][1] + 4:.1f}" fill="{colour}">{name}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def bar_chart(title, y_title, rows):
    """`rows`: [(label, {name: value})]; one group of bars for each row."""
    values = [value for _, bars in rows for value in bars.values() if value > 0]
    if not values:
        return None
    low, high = _decades(values)
    step = (HEIGHT - TOP - BOTTOM) / len(rows)
    left = 240

    def across(value):
        return left + (math.log10(value) - low) / (high - low) * (WIDTH - left - 60)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="12" y="22" font-size="15">{html.escape(title)}</text>',
        f'<text x="{left}" y="{HEIGHT - 10}">{html.escape(y_title)}</text>',
    ]
    for power in range(low, high + 1):
        x = across(10.0**power)
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{_label(10.0**power)}</text>')
    for i, (label, bars) in enumerate(rows):
        top = TOP + i * step
        out.append(f'<text x="{left - 8}" y="{top + step / 2 + 3:.1f}" text-anchor="end">{html.escape(label)}</text>')
        bars = {name: value for name, value in bars.items() if value > 0}
        thick = (step - 4) / max(1, len(bars))
        for j, (name, value) in enumerate(bars.items()):
            y = top + 2 + j * thick
            width = across(value) - left
            out.append(f'<rect x="{left}" y="{y:.1f}" width="{width:.1f}" height="{thick:.1f}" fill="{COLOURS[name]}"/>')
            out.append(f'<text x="{left + width + 4:.1f}" y="{y + thick / 2 + 3:.1f}" font-size="8">{value:.2f} {name}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
