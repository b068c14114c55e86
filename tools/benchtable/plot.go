package main

import (
	"image/color"
	"os"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours that can be read on white and on black alike.
var (
	grey    = color.RGBA{0x7d, 0x85, 0x90, 0xff}
	colours = map[string]color.Color{
		memory: color.RGBA{0x3b, 0x82, 0xf6, 0xff}, aRun: color.RGBA{0xdc, 0x26, 0x26, 0xff}, scrape: color.RGBA{0xd9, 0x77, 0x06, 0xff},
		lines: color.RGBA{0x16, 0xa3, 0x4a, 0xff}, receivers: color.RGBA{0xa8, 0x55, 0xf7, 0xff}, upload: color.RGBA{0x08, 0x91, 0xb2, 0xff},
		binary: color.RGBA{0xdb, 0x27, 0x77, 0xff},
	}
)

// plotGrowth draws what one of many costs, in proportion to what one of the fewest
// does: a line that rises is worse than linear.
func plotGrowth(file string, results []*result) error {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Label.Text = "how many"
	p.Y.Label.Text = "cost of each (of the fewest: 1)"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 100, Label: "100"}, {Value: 1000, Label: "1 k"}, {Value: 1e4, Label: "10 k"}, {Value: 1e5, Label: "100 k"}, {Value: 1e6, Label: "1 M"}}
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0.01, Label: "0.01"}, {Value: 0.1, Label: "0.1"}, {Value: 1, Label: "1"}, {Value: 10, Label: "10"}}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Label.TextStyle.Color, axis.Tick.Color, axis.Tick.Label.Color = grey, grey, grey, grey
	}
	p.Legend.TextStyle.Color = grey
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 100, 1e6, 0.1, 10

	linear, err := plotter.NewLine(plotter.XYs{{X: 100, Y: 1}, {X: 1e6, Y: 1}})
	if err != nil {
		return err
	}
	linear.Color, linear.Dashes = grey, []vg.Length{4, 4}
	p.Add(linear)
	p.Legend.Add("linear", linear)
	var named []string
	for _, g := range growths(results) {
		points := make(plotter.XYs, len(g.sizes))
		for i := range points {
			points[i] = plotter.XY{X: float64(g.sizes[i]), Y: g.cost(i) / g.cost(0)}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, dots.Color, dots.Radius = colours[g.about.part], colours[g.about.part], 1.5
		p.Add(line, dots)
		if !slices.Contains(named, g.about.part) {
			named = append(named, g.about.part)
			p.Legend.Add(g.about.part, line)
		}
	}
	p.Legend.Top = true
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	canvas := vgsvg.New(16*vg.Centimeter, 10*vg.Centimeter)
	p.Draw(draw.New(canvas))
	if _, err := canvas.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}
