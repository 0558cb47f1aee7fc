package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// point is one of a series.
type point struct{ x, y float64 }

// series is a line of a plot, with its points in the order they are joined.
type series struct {
	name   string
	ours   bool // drawn thicker
	points []point
}

// plot is a chart with two logarithmic axes.
type plot struct {
	title, x, y string
	xText       func(float64) string
	yText       func(float64) string
	xTicks      []float64 // default: powers of ten
	series      []series
}

// A plot's measures, in pixels.
const (
	width, height = 860, 480
	left, right   = 84, 236
	top, bottom   = 48, 56
	lineHeight    = 19
)

// colours can be told apart also by those who see few of them; the dashes help.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#000000", "#7f7f7f", "#a6761d", "#6a3d9a", "#b2182b", "#1b7837"}

// axis maps values to pixels by their logarithm.
type axis struct {
	low, high, from, to float64
	ticks               []float64
}

func newAxis(values, ticks []float64, from, to float64) axis {
	low, high := slices.Min(values), slices.Max(values)
	if low == high {
		low, high = low/2, high*2
	}
	pad := math.Pow(high/low, 0.04)
	a := axis{low: low / pad, high: high * pad, from: from, to: to, ticks: ticks}
	if ticks != nil {
		return a
	}
	steps := []float64{1}
	if high/low < 1000 {
		steps = []float64{1, 2, 5}
	}
	for e := math.Floor(math.Log10(a.low)); e <= math.Log10(a.high); e++ {
		for _, s := range steps {
			if v := s * math.Pow(10, e); v >= a.low && v <= a.high {
				a.ticks = append(a.ticks, v)
			}
		}
	}
	return a
}

func (a axis) at(v float64) float64 {
	return a.from + (a.to-a.from)*math.Log(v/a.low)/math.Log(a.high/a.low)
}

// svg draws the plot.
func (p plot) svg() string {
	var xs, ys []float64
	for _, s := range p.series {
		for _, q := range s.points {
			xs, ys = append(xs, q.x), append(ys, q.y)
		}
	}
	var b strings.Builder
	out := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	text := func(x, y float64, anchor, extra, s string) {
		out(`<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`, x, y, anchor, extra, html.EscapeString(s))
	}
	out(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12" fill="#222">`,
		width, height, width, height)
	out(`<title>%s</title>`, html.EscapeString(p.title))
	out(`<rect width="%d" height="%d" fill="#fff"/>`, width, height)
	text(left, 26, "start", ` font-size="15" font-weight="bold"`, p.title)
	if len(xs) == 0 {
		out("</svg>")
		return b.String()
	}
	x := newAxis(xs, p.xTicks, left, width-right)
	y := newAxis(ys, nil, height-bottom, top)
	for _, v := range x.ticks {
		out(`<path d="M%.1f %d V%d" stroke="#e3e3e3"/>`, x.at(v), top, height-bottom)
		text(x.at(v), height-bottom+18, "middle", "", p.xText(v))
	}
	for _, v := range y.ticks {
		out(`<path d="M%d %.1f H%d" stroke="#e3e3e3"/>`, left, y.at(v), width-right)
		text(left-8, y.at(v)+4, "end", "", p.yText(v))
	}
	out(`<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#888"/>`, left, top, width-left-right, height-top-bottom)
	text(float64(left+width-right)/2, height-14, "middle", "", p.x)
	mid := float64(top+height-bottom) / 2
	text(18, mid, "middle", fmt.Sprintf(` transform="rotate(-90 18 %.1f)"`, mid), p.y)
	for i, s := range p.series {
		p.line(out, x, y, i, s)
		at := float64(top + 8 + i*lineHeight)
		out(`<path d="M%d %.1f h26" %s/>`, width-right+14, at, stroke(i, s))
		text(float64(width-right+48), at+4, "start", map[bool]string{true: ` font-weight="bold"`}[s.ours], s.name)
	}
	out("</svg>")
	return b.String()
}

func (p plot) line(out func(string, ...any), x, y axis, i int, s series) {
	var path strings.Builder
	for k, q := range s.points {
		fmt.Fprintf(&path, "%s%.1f %.1f ", map[bool]string{true: "M", false: "L"}[k == 0], x.at(q.x), y.at(q.y))
	}
	out(`<path d="%s" fill="none" %s/>`, strings.TrimSpace(path.String()), stroke(i, s))
	for _, q := range s.points {
		out(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %s, %s</title></circle>`, x.at(q.x), y.at(q.y), colours[i%len(colours)],
			html.EscapeString(s.name), html.EscapeString(p.xText(q.x)), html.EscapeString(p.yText(q.y)))
	}
}

func stroke(i int, s series) string {
	wide, dash := "1.6", ` stroke-dasharray="6 3"`
	if s.ours {
		wide, dash = "3", ""
	}
	return fmt.Sprintf(`stroke="%s" stroke-width="%s"%s`, colours[i%len(colours)], wide, dash)
}
