package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"borderwatch/dashboards/service"
)

// figure is a chart of stacked bars, drawn as SVG by its template. Lengths are units of the drawing.
type figure struct {
	Title  string
	Param  string // of a list's address that a series is a filter for, "" where none is
	Bars   []bar
	Series []series
	Most   uint64 // alerts of the highest bar
	Total  uint64
	From   time.Time
	To     time.Time
	Bucket string
}

// series is one colour.
type series struct {
	Name   string
	Colour int // number of the class of the colour
	Alerts uint64
}

// bar is one rectangle and what it says.
type bar struct {
	X, Y, W, H float64
	Colour     int
	Label      string
}

// The drawing's size, and how many series have a colour of their own.
const (
	figureWidth  = 720.0
	figureHeight = 160.0
	figureSeries = 6
)

const otherSeries = "other"

// newFigure lays a chart out: the series with the most alerts have a colour, the others share one.
func newFigure(c *service.Chart) figure {
	f := figure{Title: "Alerts by " + c.Dimension, From: c.From, To: c.To, Bucket: ago(c.Bucket)}
	if c.Dimension != "verdict" {
		f.Param = c.Dimension
	}
	f.Series = rank(c)
	colour := map[string]int{}
	for _, s := range f.Series {
		colour[s.Name] = s.Colour
		f.Total += s.Alerts
	}
	columns := map[int64][]uint64{}
	for _, p := range c.Points {
		at := p.Bucket.Sub(c.From) / c.Bucket
		column := columns[int64(at)]
		if column == nil {
			column = make([]uint64, figureSeries+1)
			columns[int64(at)] = column
		}
		i, ok := colour[p.Series]
		if !ok {
			i = figureSeries
		}
		column[i] += p.Alerts
	}
	for _, column := range columns {
		f.Most = max(f.Most, sum(column))
	}
	f.draw(columns, int64(c.To.Sub(c.From)/c.Bucket)+1, c)
	return f
}

func (f *figure) draw(columns map[int64][]uint64, n int64, c *service.Chart) {
	width := figureWidth / float64(n)
	names := make([]string, figureSeries+1)
	for _, s := range f.Series {
		names[s.Colour] = s.Name
	}
	for at := range n {
		y := figureHeight
		for i, alerts := range columns[at] {
			if alerts == 0 {
				continue
			}
			h := figureHeight * float64(alerts) / float64(f.Most)
			y -= h
			from := c.From.Add(time.Duration(at) * c.Bucket)
			f.Bars = append(f.Bars, bar{float64(at)*width + 1, y, max(width-2, 1), h, i, fmt.Sprintf("%s UTC, %s: %d", from.UTC().Format("2006-01-02 15:04"), names[i], alerts)})
		}
	}
}

// rank gives colours to the largest series; what is left is one series of its own.
func rank(c *service.Chart) []series {
	totals := map[string]uint64{}
	for _, p := range c.Points {
		totals[p.Series] += p.Alerts
	}
	var all []series
	for name, alerts := range totals {
		all = append(all, series{Name: name, Alerts: alerts})
	}
	slices.SortFunc(all, func(a, b series) int {
		if a.Alerts != b.Alerts {
			return int(int64(b.Alerts) - int64(a.Alerts))
		}
		return strings.Compare(a.Name, b.Name)
	})
	other := series{Name: otherSeries, Colour: figureSeries}
	for i := range all {
		if i < figureSeries {
			all[i].Colour = i
			continue
		}
		other.Alerts += all[i].Alerts
	}
	if len(all) > figureSeries {
		return append(all[:figureSeries], other)
	}
	return all
}

func sum(list []uint64) (total uint64) {
	for _, n := range list {
		total += n
	}
	return total
}

// strip is an actor's days around an alert: a dot per access, a row per day.
type strip struct {
	Days []stripDay
	More bool // there are more accesses than are shown
}

type stripDay struct {
	Day  string
	Dots []dot
}

// dot is one access. X is in thousandths of the day.
type dot struct {
	X     float64
	Class string
	Label string
	Here  bool // the alert's own event
}

func newStrip(page *service.AlertPage) strip {
	var s strip
	for _, m := range slices.Backward(page.Timeline) {
		day := m.Time.UTC().Format("Mon 2006-01-02")
		if len(s.Days) == 0 || s.Days[len(s.Days)-1].Day != day {
			s.Days = append(s.Days, stripDay{Day: day})
		}
		at := m.Time.Sub(m.Time.UTC().Truncate(24*time.Hour)).Hours() / 24 * 1000
		last := &s.Days[len(s.Days)-1]
		last.Dots = append(last.Dots, dot{
			X: at, Class: m.Verdict, Here: m.EventID == page.EventID && m.Time.Equal(page.Time),
			Label: fmt.Sprintf("%s UTC %s of %s from %s (%s): %s", m.Time.UTC().Format("15:04:05"), m.Action, m.Dataset, place(m.Country), m.LocationVerdict, m.Verdict),
		})
	}
	s.More = len(page.Timeline) >= 500
	return s
}
